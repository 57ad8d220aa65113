from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from jina_v3_encoder.checkpoints.layouts import Layout
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES, Task
from jina_v3_encoder.testing import tiny_config, write_random_checkpoint


@pytest.mark.parametrize("layout", ["original", "hf"])
@pytest.mark.parametrize("source", ["original_folder", "hf_folder"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_round_trips(request: pytest.FixtureRequest, tmp_path: Path, source: str, layout: Layout, dtype: str) -> None:
    encoder = Encoder.from_pretrained(request.getfixturevalue(source), dtype=dtype, device="cpu")
    encoder.save_pretrained(tmp_path / "saved", layout)
    again = Encoder.from_pretrained(tmp_path / "saved", dtype=dtype, device="cpu")
    texts = ["a sentence"] * 6
    assert np.array_equal(
        again.encode(texts, task=[*TASK_NAMES, None]), encoder.encode(texts, task=[*TASK_NAMES, None])
    )
    assert again.fingerprint == encoder.fingerprint


def test_original_files(original_folder: Path) -> None:
    assert sorted(path.name for path in original_folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    with safe_open(original_folder / "model.safetensors", framework="pt") as file:
        names = set(file.keys())
        assert file.get_slice("roberta.emb_ln.weight").get_dtype() == "BF16"
    assert len(names) == 3 * 11 + 9 + 10
    assert "roberta.encoder.layers.0.mixer.Wqkv.parametrizations.weight.0.lora_A" in names


def test_hf_files(hf_folder: Path) -> None:
    for task in Task:
        values = json.loads((hf_folder / task.folder / "adapter_config.json").read_text())
        assert (values["peft_type"], values["r"], values["lora_alpha"]) == ("LORA", 4, 1)
        assert set(values["target_modules"]) == {
            "word_embeddings",
            "token_type_embeddings",
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "fc1",
            "fc2",
            "dense",
        }
    config = json.loads((hf_folder / "config.json").read_text())
    assert config["model_type"] == "jina_embeddings_v3"
    assert config["rope_parameters"]["rope_theta"] == config["rotary_emb_base"] == 20000.0


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
def test_transformers_with_peft_gives_the_same_vectors(hf_folder: Path, encoder: Encoder) -> None:
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(hf_folder, dtype=torch.float32)
    for task in Task:
        loaded = model.load_adapter(str(hf_folder / task.folder), adapter_name=task.folder)
        assert not [key for key in loaded.missing_keys if f".{task.folder}" in key]
        assert not loaded.unexpected_keys
    ids = torch.from_numpy(encoder.engine.tokenizer.encode(["hello world"])[0])[None]
    for task in Task:
        model.set_adapter(task.folder)
        with torch.no_grad():
            mean = model.eval()(ids).last_hidden_state[0].mean(0).numpy()
        wanted = encoder.encode("hello world", task=task, prompt=False)
        assert np.abs(mean / np.linalg.norm(mean) - wanted).max() <= 2e-5


def test_saving_onto_itself_keeps_the_tokenizer(tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path, tiny_config())
    before = (folder / "tokenizer.json").read_bytes()
    Encoder.from_pretrained(folder, dtype="bfloat16", device="cpu").save_pretrained(folder)
    assert (folder / "tokenizer.json").read_bytes() == before


@pytest.mark.parametrize("layout", ["original", "hf"])
def test_whoever_may_read_the_folder_may_read_its_weights(encoder: Encoder, tmp_path: Path, layout: Layout) -> None:
    encoder.save_pretrained(tmp_path, layout=layout)
    wanted = (tmp_path / "config.json").stat().st_mode
    weights = list(tmp_path.rglob("*.safetensors"))
    assert weights
    assert all(path.stat().st_mode == wanted for path in weights)
