"""Loading: both layouts, every accepted naming, and every way a checkpoint can be broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint, load_model
from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import CheckpointError, CheckpointMismatch, CheckpointNotFound
from jina_v3_encoder.task import Task

TEXTS = ["hello world", "another one"]
TASKS: list[str | None] = ["retrieval.query", "text-matching"]


def vectors(folder: Path) -> np.ndarray:
    return Encoder.from_pretrained(folder, dtype="float32", device="cpu").encode(TEXTS, task=TASKS)


def rewritten(source: Path, target: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Path:
    """A copy of a checkpoint with its main weights changed."""
    shutil.copytree(source, target)
    weights = target / "model.safetensors"
    save_file({k: v.contiguous() for k, v in change(load_file(weights)).items()}, weights, metadata={"format": "pt"})
    return target


def test_both_layouts_are_one_model(original_folder: Path, hf_folder: Path) -> None:
    assert find_checkpoint(original_folder).layout == "original"
    assert find_checkpoint(hf_folder).layout == "hf"
    assert np.array_equal(vectors(original_folder), vectors(hf_folder))


@pytest.mark.parametrize("prefix", ["", "model."])
def test_base_names_without_or_with_other_prefixes(hf_folder: Path, tmp_path: Path, prefix: str) -> None:
    def rename(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {prefix + name.removeprefix("roberta."): value for name, value in tensors.items()}

    assert np.array_equal(vectors(rewritten(hf_folder, tmp_path / "copy", rename)), vectors(hf_folder))


def test_renamed_base_as_transformers_saves_it(hf_folder: Path, tmp_path: Path) -> None:
    table = (
        ("roberta.", ""),
        ("emb_ln", "embeddings.LayerNorm"),
        ("encoder.layers", "layers"),
        ("mixer.out_proj", "self_attn.o_proj"),
        ("norm1", "post_attention_layernorm"),
        ("norm2", "post_mlp_layernorm"),
    )

    def rename(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        renamed: dict[str, torch.Tensor] = {}
        for name, value in tensors.items():
            for old, new in table:
                name = name.replace(old, new)
            if "mixer.Wqkv" not in name:
                renamed[name] = value
                continue
            for part, rows in zip("qkv", value.chunk(3), strict=True):
                renamed[name.replace("mixer.Wqkv", f"self_attn.{part}_proj")] = rows
        return renamed

    assert np.array_equal(vectors(rewritten(hf_folder, tmp_path / "copy", rename)), vectors(hf_folder))


@pytest.mark.parametrize("prefix", ["", "roberta.", "base_model.model.roberta."])
def test_adapter_prefixes(hf_folder: Path, tmp_path: Path, prefix: str) -> None:
    folder = shutil.copytree(hf_folder, tmp_path / "copy")
    for task in Task:
        path = folder / task.folder / "adapter_model.safetensors"
        tensors = load_file(path)
        save_file({prefix + name.removeprefix("base_model.model."): value for name, value in tensors.items()}, path)
    assert np.array_equal(vectors(folder), vectors(hf_folder))


def test_what_transformers_itself_saves_can_be_loaded(hf_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = shutil.copytree(hf_folder, tmp_path / "copy")
    AutoModel.from_pretrained(hf_folder, dtype=torch.bfloat16).save_pretrained(folder)
    assert np.array_equal(vectors(folder), vectors(hf_folder))


def test_shards(original_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, names_in_file in parts.items():
        save_file({name: tensors[name] for name in names_in_file}, folder / file)
    weight_map = {name: file for file, names_in_file in parts.items() for name in names_in_file}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert np.array_equal(vectors(folder), vectors(original_folder))
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointNotFound, match=r"lacks 1 of 2 shards: model-00002-of-00002\.safetensors"):
        vectors(folder)


def test_a_pooler_may_be_left_out_as_a_whole(original_folder: Path, tmp_path: Path) -> None:
    def drop(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value for name, value in tensors.items() if "pooler" not in name}

    assert np.array_equal(vectors(rewritten(original_folder, tmp_path / "copy", drop)), vectors(original_folder))


def test_half_a_pooler_is_missing_tensors(original_folder: Path, tmp_path: Path) -> None:
    def drop(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value for name, value in tensors.items() if name != "roberta.pooler.dense.bias"}

    with pytest.raises(CheckpointMismatch, match=r"missing pooler\.dense\.bias \(64,\)"):
        vectors(rewritten(original_folder, tmp_path / "copy", drop))


WQKV = "roberta.encoder.layers.1.mixer.Wqkv.parametrizations.weight"


def test_missing_extra_and_misshapen_tensors_are_all_listed(original_folder: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        tensors.pop(f"{WQKV}.0.lora_A")
        tensors["roberta.surprise"] = torch.zeros(3)
        tensors["roberta.emb_ln.weight"] = torch.zeros(65)
        return tensors

    with pytest.raises(CheckpointMismatch) as caught:
        vectors(rewritten(original_folder, tmp_path / "copy", change))
    message = str(caught.value)
    assert "missing encoder.layers.1.mixer.Wqkv.parametrizations.weight.0.lora_A (5, 4, 64)" in message
    assert "unexpected roberta.surprise (3,)" in message
    assert "roberta.emb_ln.weight has shape (65,), config.json asks for (64,)" in message


def test_swapped_low_rank_factors_do_not_pass(original_folder: Path, tmp_path: Path) -> None:
    def swap(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        name = "roberta.embeddings.word_embeddings.parametrizations.weight.0.lora_"
        tensors[f"{name}A"], tensors[f"{name}B"] = tensors[f"{name}B"], tensors[f"{name}A"]
        return tensors

    with pytest.raises(CheckpointMismatch, match=r"has shape \(5, 4, 64\), config.json asks for \(5, 4096, 4\)"):
        vectors(rewritten(original_folder, tmp_path / "copy", swap))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite(original_folder: Path, tmp_path: Path, value: float) -> None:
    def poison(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        tensors[f"{WQKV}.original"][3, 5] = value
        return tensors

    with pytest.raises(CheckpointMismatch, match=r"layers\.1\.mixer\.Wqkv.* holds NaN or infinite values"):
        vectors(rewritten(original_folder, tmp_path / "copy", poison))


def test_integer_weights(original_folder: Path, tmp_path: Path) -> None:
    def quantise(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return tensors | {"roberta.emb_ln.bias": torch.zeros(64, dtype=torch.int8)}

    with pytest.raises(CheckpointMismatch, match="holds I8, expected floating point"):
        vectors(rewritten(original_folder, tmp_path / "copy", quantise))


def test_two_names_for_one_tensor(original_folder: Path, tmp_path: Path) -> None:
    def double(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return tensors | {"emb_ln.bias": torch.zeros(64)}

    with pytest.raises(CheckpointMismatch, match=r"names emb_ln\.bias twice"):
        vectors(rewritten(original_folder, tmp_path / "copy", double))


def test_query_key_and_value_adapters_that_were_trained_apart(hf_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(hf_folder, tmp_path / "copy")
    path = folder / "separation" / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors["base_model.model.layers.0.self_attn.k_proj.lora_A.weight"] += 1
    save_file(tensors, path)
    with pytest.raises(CheckpointMismatch, match="differs from the other lora_A"):
        vectors(folder)


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_truncated_files(original_folder: Path, tmp_path: Path, keep: int) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "copy")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"not a complete safetensors file .* download it again"):
        vectors(folder)


def test_a_config_of_another_size(original_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "copy")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"num_hidden_layers": 3}))
    with pytest.raises(CheckpointMismatch, match=r"42 tensors|where \d+ are expected"):
        vectors(folder)


def test_a_config_of_impossible_size_is_refused_before_memory_is_taken(original_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "copy")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(values | {"hidden_size": 2**22, "num_attention_heads": 2**14, "vocab_size": 2**23})
    )
    with pytest.raises(CheckpointMismatch, match=r"config\.json asks for"):
        vectors(folder)


@pytest.mark.parametrize("changes", [{"r": 8}, {"r": [4]}, {"lora_alpha": {}}, {"lora_alpha": "1"}])
def test_adapters_of_different_rank(hf_folder: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    folder = shutil.copytree(hf_folder, tmp_path / "copy")
    path = folder / "separation" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointMismatch, match="must share one rank and alpha"):
        vectors(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_files_are_named(original_folder: Path, tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "copy")
    (folder / file).unlink()
    with pytest.raises(CheckpointNotFound, match=file.replace(".", r"\.")):
        vectors(folder)


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_adapter_is_named(hf_folder: Path, tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(hf_folder, tmp_path / "copy")
    (folder / "classification" / file).unlink()
    with pytest.raises(CheckpointNotFound, match=f"classification.{file}"):
        vectors(folder)


def test_pickled_weights_are_never_loaded(original_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "copy")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointNotFound, match="never loaded"):
        vectors(folder)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "nowhere", "a/b/c", Path("x/y")])
def test_folders_that_do_not_exist(name: str | Path) -> None:
    with pytest.raises(CheckpointNotFound, match="is no folder; pass a folder"):
        find_checkpoint(name)


def test_offline_and_not_in_the_cache_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointNotFound, match=r"hf download jinaai/jina-embeddings-v3.*bundled model"):
        find_checkpoint("jinaai/jina-embeddings-v3", revision="abc123")


def test_a_name_that_no_hub_has() -> None:
    with pytest.raises(CheckpointNotFound, match=r"neither a local folder|no valid hub id|cannot be reached"):
        find_checkpoint("no body/has this")


def test_a_hub_id_in_the_cache_is_found_with_its_revision(
    original_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--model"
    shutil.copytree(original_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    checkpoint = find_checkpoint("someone/model")
    assert (checkpoint.model_id, checkpoint.revision) == ("someone/model", commit)
    assert find_checkpoint("someone/model", revision=commit).folder == checkpoint.folder


def test_loading_gives_the_asked_dtype_and_frozen_parameters(original_folder: Path) -> None:
    model = load_model(find_checkpoint(original_folder), torch.float32)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training


def test_the_published_sizes_tell_the_licence(original_folder: Path) -> None:
    checkpoint = replace(find_checkpoint(original_folder), config=ModelConfig())
    assert checkpoint.licence.startswith("CC BY-NC 4.0")
