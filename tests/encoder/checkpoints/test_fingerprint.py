from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.testing import write_random_checkpoint


def fingerprint(folder: Path, dtype: str = "float32") -> str:
    return Encoder.from_pretrained(folder, dtype=dtype, device="cpu").fingerprint


def test_the_same_in_both_layouts_and_every_dtype(original_folder: Path, hf_folder: Path) -> None:
    fingerprints = {
        fingerprint(folder, dtype) for folder in (original_folder, hf_folder) for dtype in ("float32", "bfloat16")
    }
    assert len(fingerprints) == 1
    assert len(fingerprints.pop()) == 16


def test_other_weights(original_folder: Path, tmp_path: Path) -> None:
    assert fingerprint(write_random_checkpoint(tmp_path, seed=1)) != fingerprint(original_folder)


@pytest.mark.parametrize(
    "change",
    [
        {"rotary_emb_base": 10000.0},
        {"lora_alpha": 2},
        {"num_attention_heads": 2},
        {"task_instructions": {"retrieval.query": "ask: "}},
        {"lora_adaptations": ["retrieval.passage", "retrieval.query", "separation", "classification", "text-matching"]},
    ],
    ids=str,
)
def test_other_settings(original_folder: Path, tmp_path: Path, change: dict[str, object]) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "copy")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | change))
    assert fingerprint(folder) != fingerprint(original_folder)


def test_another_tokenizer(original_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "copy")
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    values["normalizer"] = None
    path.write_text(json.dumps(values))
    assert fingerprint(folder) != fingerprint(original_folder)
