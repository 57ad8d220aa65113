"""A pipe in the place of a file is refused; a read of it would wait for ever."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
PATIENCE = 60
"""Seconds; without the refusal the command would never end."""


@pytest.mark.parametrize(
    ("pipe", "arguments", "words"),
    [
        ("a.txt", ["ingest", "a.txt", "--to", "qdrant:./s"], "a.txt is no regular file"),
        ("a.jsonl", ["ingest", "a.jsonl", "--to", "qdrant:./s"], "a.jsonl is no regular file"),
        ("model/config.json", ["info", "--model", "./model"], "model/config.json is no regular file"),
        (
            "hf/separation/adapter_config.json",
            ["info", "--model", "./hf"],
            "hf/separation/adapter_config.json is no regular file",
        ),
        (
            "s/documents/collection.json",
            ["search", "x", "--from", "qdrant:./s"],
            "s/documents/collection.json is no regular file",
        ),
        ("s/documents.alias", ["search", "x", "--from", "qdrant:./s"], "s/documents.alias is no regular file"),
        ("keys", ["serve", "--port", "0", "--key-file", "keys"], "--key-file keys is no regular file"),
    ],
)
def test_pipes_are_refused(
    tmp_path: Path, original_folder: Path, hf_folder: Path, pipe: str, arguments: list[str], words: str
) -> None:
    shutil.copytree(original_folder, tmp_path / "model")
    shutil.copytree(hf_folder, tmp_path / "hf")
    (tmp_path / pipe).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / pipe).unlink(missing_ok=True)
    os.mkfifo(tmp_path / pipe)
    command = [sys.executable, "-m", "jina_v3_connectors", *arguments]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert told.returncode == 1
    assert words in told.stderr
    assert "Traceback" not in told.stderr
