"""A search fetches no model that only the store names, unless told to; it reads the contract no more than twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from jina_v3_connectors import Document
from jina_v3_connectors.cli import main
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.qdrant.embedded import EmbeddedStore
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.testing import FakeEncoder
from tests.servers.rest import Answer, Failures, serve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub that has nothing and counts who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def handle(self, method: str, path: str, body: object) -> Answer:
        self.asked.append(f"{method} {path}")
        return 404, {"error": "Repository not found"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    hub = Hub()
    with serve(hub.handle, Failures(), 2**20) as url:
        for name, value in {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf")}.items():
            monkeypatch.setenv(name, value)
        yield hub


def search(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jina_v3_connectors", "search", "text", "--from", "qdrant:./store", *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=os.environ)


def test_a_strangers_store_cannot_choose_what_is_fetched(hub: Hub, tmp_path: Path) -> None:
    with QdrantConnector(FakeEncoder(model_id="stranger/model"), "documents", path=tmp_path / "store") as store:
        store.ingest([Document("a", "A text.")])
    told = search(tmp_path)
    assert told.returncode == 1
    assert "stranger/model is not on this machine: allow its download" in told.stderr
    assert "--allow-download" in told.stderr
    assert hub.asked == []
    for arguments in (["--allow-download"], ["--model", "stranger/model"]):
        allowed = search(tmp_path, *arguments)
        assert allowed.returncode == 1, "the hub has no such model"
        assert "stranger/model is" in allowed.stderr
        assert any("stranger/model" in path for path in hub.asked)
        hub.asked.clear()


def test_a_model_in_the_cache_is_taken_without_asking(hub: Hub, tmp_path: Path, original_folder: Path) -> None:
    repository = tmp_path / "hf" / "hub" / "models--someone--model"
    shutil.copytree(original_folder, repository / "snapshots" / COMMIT)

    encoder = Encoder.from_pretrained(original_folder)
    fake = FakeEncoder(encoder.dimensions, model_id="someone/model", revision=COMMIT, fingerprint=encoder.fingerprint)
    with QdrantConnector(fake, "documents", path=tmp_path / "store") as store:
        store.ingest([Document("a", "A text.")])
    told = search(tmp_path, "--json")
    assert told.returncode == 0, told.stderr
    assert '"document_id": "a"' in told.stdout
    assert hub.asked == []


def test_a_search_reads_the_contract_to_choose_the_model_and_once_more_when_it_asks(
    tmp_path: Path, original_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with QdrantConnector(Encoder.from_pretrained(original_folder), "documents", path=tmp_path / "store") as store:
        store.ingest([Document("a", "A text.")])
    reads = 0
    read = EmbeddedStore.read

    def counted(store: EmbeddedStore) -> object:
        nonlocal reads
        reads += 1
        return read(store)

    monkeypatch.setattr(EmbeddedStore, "read", counted)
    result = CliRunner().invoke(main, ["search", "text", "--from", f"qdrant:{tmp_path / 'store'}"])
    assert result.exit_code == 0, result.output
    assert reads == 2
