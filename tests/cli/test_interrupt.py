"""Runs that are stopped from outside leave a store that the next run completes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jina_v3_connectors import Document, SemanticChunker
from jina_v3_connectors.cli.ingest import Stop
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import JinaV3Error

from ..servers.chat import Reply, chat_server

DOCUMENTS = 4_000
COMMAND = [sys.executable, "-m", "jina_v3_connectors", "ingest"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    rows = ({"id": str(n), "text": f"Document number {n} of many. It says little."} for n in range(DOCUMENTS))
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def count(store: Path, encoder: Encoder) -> int:
    chunker = SemanticChunker(encoder.tokenizer_file, 200)
    with QdrantConnector(encoder, "documents", path=store, dimensions=32, chunker=chunker) as connector:
        return connector.count()


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_and_run_again(corpus: Path, original_folder: Path, tmp_path: Path, stop: signal.Signals) -> None:
    store = tmp_path / "store"
    arguments = [str(corpus), "--to", f"qdrant:{store}", "--dimensions", "32", "--model", str(original_folder)]
    first = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True)
    wal = store / "documents" / "shard" / "wal"
    deadline = time.monotonic() + 60
    while not wal.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(stop)
    _, errors = first.communicate(timeout=60)
    assert first.returncode != 0
    assert "Traceback" not in errors
    encoder = Encoder.from_pretrained(original_folder, device="cpu")
    assert count(store, encoder) < DOCUMENTS
    subprocess.run([*COMMAND, *arguments], capture_output=True, check=True)
    assert count(store, encoder) == DOCUMENTS


def test_ctrl_c_does_not_wait_for_a_language_model(original_folder: Path, tmp_path: Path) -> None:
    """Several windows are asked about at once, and none is answered for two minutes."""
    (tmp_path / "long.txt").write_text(" ".join(f"This is sentence number {number}." for number in range(400)))
    with chat_server(lambda *_: Reply('{"starts": [1]}', stall=120)) as server:
        arguments = [
            str(tmp_path / "long.txt"),
            "--to",
            f"qdrant:{tmp_path / 'store'}",
            "--model",
            str(original_folder),
        ]
        model = ["--chunker", "llm-simple", "--llm", server.url, "--llm-model", "slow"]
        process = subprocess.Popen([*COMMAND, *arguments, *model], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while len(server.requests) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert len(server.requests) >= 2
    assert process.returncode == 1
    assert "stopped; what the store acknowledged is kept" in errors
    assert "Traceback" not in errors


def test_a_signal_that_a_finaliser_swallowed_is_not_lost() -> None:
    before = signal.getsignal(signal.SIGINT)

    def interrupted() -> None:
        with Stop() as stop:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            stop.check()

    with pytest.raises(JinaV3Error, match="run the same command again"):
        interrupted()
    assert signal.getsignal(signal.SIGINT) is before


def test_the_store_is_let_go_after_an_error(encoder: Encoder, tmp_path: Path) -> None:
    chunker = SemanticChunker(encoder.tokenizer_file, 200)

    def breaking() -> Iterator[Document]:
        yield Document("a", "Text.")
        raise OSError("the disk went away")

    def ingest() -> None:
        with QdrantConnector(encoder, "documents", path=tmp_path, chunker=chunker) as connector:
            connector.ingest([Document("b", "Other text.")])
            connector.ingest(breaking())

    with pytest.raises(OSError, match="the disk went away"):
        ingest()
    with QdrantConnector(encoder, "documents", path=tmp_path, chunker=chunker) as again:
        assert again.count() == 1
