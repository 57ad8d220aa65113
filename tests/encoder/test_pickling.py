"""Encoders in other processes: name, revision and settings travel, weights do not."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jina_v3_encoder import CheckpointMismatch, CheckpointNotFound, Encoder

TEXTS = ["a text", "another one"]


def told(encoder: Encoder) -> tuple[str, str, list[list[float]]]:
    """Runs in the other process."""
    vectors = encoder.encode(TEXTS, task="retrieval.query", dimensions=32)
    return encoder.fingerprint, repr(encoder), vectors.tolist()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_another_process_has_the_same_encoder(original_folder: Path, dtype: str) -> None:
    encoder = Encoder.from_pretrained(original_folder, dtype=dtype, device="cpu", max_batch_tokens=100)
    content = pickle.dumps(encoder)
    assert len(content) < 1000
    assert pickle.loads(content).max_batch_tokens == 100
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        fingerprint, name, vectors = pool.apply(told, (encoder,))
    assert (fingerprint, name) == (encoder.fingerprint, repr(encoder))
    np.testing.assert_allclose(vectors, encoder.encode(TEXTS, task="retrieval.query", dimensions=32), atol=1e-5)


def test_the_bundled_model_and_int8(nano: Encoder) -> None:
    again = pickle.loads(pickle.dumps(nano))
    assert (again.fingerprint, again.model_id, again.dtype) == (nano.fingerprint, "nano", nano.dtype)
    try:
        rounded = Encoder.from_pretrained("nano", quantize="int8")
    except ValueError as error:
        pytest.skip(str(error))
    assert pickle.loads(pickle.dumps(rounded)).fingerprint == rounded.fingerprint != nano.fingerprint


def test_a_folder_is_found_from_another_working_directory(
    original_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(original_folder, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    encoder = Encoder.from_pretrained("./model")
    (tmp_path / "encoder.pickle").write_bytes(pickle.dumps(encoder))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).fingerprint)"
    command = [sys.executable, "-c", code, str(tmp_path / "encoder.pickle")]
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(command, cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == encoder.fingerprint


def test_a_hub_model_travels_with_its_commit(
    original_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--model"
    shutil.copytree(original_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    content = pickle.dumps(Encoder.from_pretrained("someone/model"))
    (repository / "refs" / "main").write_text("f" * 40)
    again = pickle.loads(content)
    assert (again.model_id, again.revision) == ("someone/model", commit)


def test_other_weights_or_none_in_the_other_place_are_an_error(original_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "model")
    content = pickle.dumps(Encoder.from_pretrained(folder))
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"rotary_emb_base": 5000.0}))
    with pytest.raises(CheckpointMismatch, match="the pickled encoder had"):
        pickle.loads(content)
    folder.rename(tmp_path / "gone")
    with pytest.raises(CheckpointNotFound, match="is no folder"):
        pickle.loads(content)


def test_copies_share_the_weights(encoder: Encoder) -> None:
    assert copy.copy(encoder) is copy.deepcopy(encoder) is encoder


def test_what_was_asked_for_as_auto_stays_so(original_folder: Path) -> None:
    for encoder in (auto := Encoder.from_pretrained(original_folder), auto.with_batch_tokens(50)):
        _, (_, settings, _) = encoder.__reduce__()
        assert settings["device"] == "auto"
        assert settings["dtype"] in ("float32", "bfloat16")
