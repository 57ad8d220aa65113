"""The folders that `export_model` writes: their files, their card, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from jina_v3_encoder import Encoder, export_model
from jina_v3_encoder.errors import CheckpointError, CheckpointMismatch, InvalidInput, MissingExtra, UnknownTask
from jina_v3_encoder.export import export, onnx_graph
from jina_v3_encoder.export.reading import Trial
from jina_v3_encoder.network.padded import PaddedNetwork
from jina_v3_encoder.task import Task
from jina_v3_encoder.testing import tiny_config, write_random_checkpoint

PROMPT = "Represent the document for retrieval: "


def listed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def values(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def merged(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "merged"
    export_model(encoder, folder, task="retrieval.passage", file_format="sentence-transformers")
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """One layer, since the exporter takes seconds for each."""
    folder = write_random_checkpoint(tmp_path_factory.mktemp("small"), tiny_config(num_hidden_layers=1))
    return Encoder.from_pretrained(folder, dtype="float32", device="cpu")


def test_files(merged: Path) -> None:
    assert listed(merged) == [
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert [path.name for path in merged.parent.iterdir()] == ["merged"], "nothing else is left"


def test_the_tokenizer_is_the_models_own(merged: Path, encoder: Encoder) -> None:
    assert (merged / "tokenizer.json").read_bytes() == encoder.tokenizer_file.read_bytes()
    config = values(merged / "tokenizer_config.json")
    assert config["model_max_length"] == config["max_length"] == encoder.max_tokens
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    specials = values(merged / "special_tokens_map.json")
    tokenizer = Tokenizer.from_file(str(merged / "tokenizer.json"))
    ids = {name: tokenizer.token_to_id(token) for name, token in specials.items()}
    assert (ids["bos_token"], ids["pad_token"], ids["eos_token"], ids["unk_token"]) == (0, 1, 2, 3)


def test_the_prompt_is_the_default_of_its_folder(merged: Path, encoder: Encoder, tmp_path: Path) -> None:
    config = values(merged / "config_sentence_transformers.json")
    assert config["prompts"] == dict.fromkeys(["retrieval.passage", "query", "document"], PROMPT)
    assert config["default_prompt_name"] == "retrieval.passage"
    export_model(encoder, tmp_path / "none", task=None, file_format="sentence-transformers")
    config = values(tmp_path / "none" / "config_sentence_transformers.json")
    assert (config["prompts"], config["default_prompt_name"]) == ({}, None)


def test_the_card_says_whose_weights_which_task_and_which_prompt(merged: Path, encoder: Encoder, nano: Encoder) -> None:
    card = (merged / "README.md").read_text(encoding="utf-8")
    for text in (encoder.licence, encoder.fingerprint, "license: other", "| retrieval.passage |", f"    {PROMPT}"):
        assert text in card


def test_licences_of_the_hub(nano: Encoder, tmp_path: Path) -> None:
    exact = Encoder.from_pretrained("nano", dtype="float32", device="cpu")
    export_model(exact, tmp_path / "nano", task="separation", file_format="sentence-transformers")
    assert "license: cc-by-sa-4.0" in (tmp_path / "nano" / "README.md").read_text(encoding="utf-8")


def test_config_for_graphs(small: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XLM-RoBERTa's positions begin after the padding's id. Weights of more than a file holds lie in another."""
    monkeypatch.setattr(onnx_graph, "LARGEST_FILE", 1000)
    said: list[str] = []
    export_model(small, tmp_path / "onnx", task="separation", say=said.append)
    config = values(tmp_path / "onnx" / "config.json")
    assert config["model_type"] == "xlm-roberta"
    assert config["max_position_embeddings"] - config["pad_token_id"] - 1 == small.max_tokens
    assert config["transformers.js_config"] == {"use_external_data_format": {"model.onnx": 1}}
    assert config["jina_v3_export"]["task"] == "separation"
    assert [name for name in listed(tmp_path / "onnx") if name.startswith("onnx/")] == [
        "onnx/model.onnx",
        "onnx/model.onnx_data",
    ]
    assert b"/network/padded.py" not in (tmp_path / "onnx/onnx/model.onnx").read_bytes(), "no path of this machine"
    assert any("1 layers" in line for line in said)


def test_a_folder_that_is_not_empty_is_left_alone(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InvalidInput, match="not an empty folder: name a new one"):
        export_model(encoder, tmp_path, task=None, file_format="sentence-transformers")
    assert listed(tmp_path) == ["notes"]
    (tmp_path / "empty").mkdir()
    export_model(encoder, tmp_path / "empty", task=None, file_format="sentence-transformers")
    assert "model.safetensors" in listed(tmp_path / "empty")


def test_a_graph_with_other_vectors_is_refused(encoder: Encoder) -> None:
    trial = Trial.of(encoder, [None, Task.SEPARATION])
    trial.check(trial.wanted, "model.onnx", None)
    with pytest.raises(CheckpointMismatch, match=r"model.onnx gives vectors of cosine -1\.0000 .* at least 0\.9999"):
        trial.check(-trial.wanted, "model.onnx", None)
    with pytest.raises(CheckpointMismatch, match=r"at least 0\.99 is needed; .* Export without int8"):
        trial.check(trial.wanted * np.float32("nan"), "model_quantized.onnx", "int8")


def test_an_export_that_is_stopped_leaves_nothing(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(network: PaddedNetwork, path: Path, *, with_tasks: bool) -> None:
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "write_onnx", stopped)
    with pytest.raises(KeyboardInterrupt):
        export_model(encoder, tmp_path / "onnx", task="separation")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write the export to"):
        export_model(encoder, tmp_path / "file" / "export", task=None, file_format="sentence-transformers")


def test_what_cannot_be_exported_is_said_before_anything_is_done(encoder: Encoder, original_folder: Path) -> None:
    refused: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"task": "retrieval"}, UnknownTask, "unknown task 'retrieval'"),
        (
            {"file_format": "gguf"},
            InvalidInput,
            "unknown format 'gguf': use one of onnx, openvino, sentence-transformers",
        ),
        ({"quantize": "int4"}, InvalidInput, "quantize must be one of"),
        ({"task": "all", "file_format": "sentence-transformers"}, InvalidInput, "export one folder for each"),
        ({"quantize": "int8", "file_format": "sentence-transformers"}, InvalidInput, "leave quantize out"),
    ]
    for arguments, kind, message in refused:
        with pytest.raises(kind, match=message):
            export_model(encoder, "never", **{"task": "separation", **arguments})
    rough = Encoder.from_pretrained(original_folder, dtype="bfloat16", device="cpu")
    with pytest.raises(InvalidInput, match=r"the encoder is in bfloat16.*load it with dtype='float32'"):
        export_model(rough, "never", task="separation")
    assert not Path("never").exists()


def test_a_missing_package_is_named(encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"pip install 'jina-v3-connectors\[export\]'"):
        export_model(encoder, tmp_path / "onnx", task="separation")
    assert list(tmp_path.iterdir()) == []
