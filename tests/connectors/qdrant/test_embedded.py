"""The embedded store, its contract and the ingest loop, with the encoder faked; real vectors in tests/cli."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors import (
    Document,
    DocumentError,
    StoreError,
)
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder.errors import InvalidDimensions, InvalidInput
from jina_v3_encoder.testing import FakeEncoder

from ...support.backends import Sentences

TEXTS = {
    "cats": "The black cat sleeps. It dreams of mice.",
    "moon": "The moon is far away. It has no air.",
    "bread": "Bread rises slowly. It needs warmth.",
}


def documents(**changes: str) -> list[Document]:
    return [Document(name, text, {"topic": name}) for name, text in (TEXTS | changes).items()]


def connect(path: Path, **settings: Any) -> QdrantConnector:
    defaults: dict[str, Any] = {"chunker": Sentences(), "dimensions": 32, "late_chunking": True}
    settings = defaults | settings
    return QdrantConnector(settings.pop("encoder", FakeEncoder()), settings.pop("name", "docs"), path=path, **settings)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[QdrantConnector]:
    with connect(tmp_path) as connector:
        connector.ingest(documents())
        yield connector


def ids(connector: QdrantConnector, query: str = "anything") -> set[str]:
    return {str(hit.chunk.id) for hit in connector.search(query, limit=1000)}


def test_the_report_counts(tmp_path: Path) -> None:
    with connect(tmp_path) as connector:
        report = connector.ingest([*documents(), Document("empty", "")])
    assert (report.documents, report.chunks, report.empty) == (4, 6, 1)
    assert report.seconds_encoding > 0
    assert report.seconds_writing > 0


def test_documents_are_taken_as_they_are_needed(tmp_path: Path) -> None:
    taken = 0

    def endless() -> Iterator[Document]:
        nonlocal taken
        for number in range(2000):
            taken += 1
            yield Document(str(number), f"Text number {number}. And more.")
        raise KeyboardInterrupt

    with connect(tmp_path) as connector, pytest.raises(KeyboardInterrupt):
        connector.ingest(endless())
    with connect(tmp_path) as connector:
        assert 0 < connector.count() < 2 * taken


def test_late_and_plain_collections_hold_different_vectors(tmp_path: Path) -> None:
    with connect(tmp_path, name="late") as late, connect(tmp_path, name="plain", late_chunking=False) as plain:
        for connector in (late, plain):
            connector.ingest(documents())
        scores = [connector.search("the moon", limit=6)[-1].score for connector in (late, plain)]
    assert scores[0] != scores[1]


def test_two_openers_of_one_collection(store: QdrantConnector, tmp_path: Path) -> None:
    with connect(tmp_path) as second, pytest.raises(StoreError, match="open in another process or connector"):
        second.search("x")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": "x"}'])
def test_a_damaged_contract(store: QdrantConnector, tmp_path: Path, content: str) -> None:
    store.close()
    (tmp_path / "docs" / "collection.json").write_text(content)
    with pytest.raises(StoreError, match=r"collection\.json|cannot read"):
        connect(tmp_path)


def test_vectors_without_a_contract_are_not_touched(store: QdrantConnector, tmp_path: Path) -> None:
    store.close()
    (tmp_path / "docs" / "collection.json").unlink()
    with pytest.raises(StoreError, match="does not say which model made its vectors"):
        connect(tmp_path)
    assert (tmp_path / "docs" / "shard" / "segments").exists()


def test_damaged_data(store: QdrantConnector, tmp_path: Path) -> None:
    store.close()
    (tmp_path / "docs" / "shard" / "edge_config.json").write_text("{")
    with connect(tmp_path) as connector, pytest.raises(StoreError, match="docs"):
        connector.search("x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with connect(tmp_path) as connector, pytest.raises(StoreError, match="cannot be read or written"):
        connector.ingest(documents())


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be read"), connect(tmp_path / "file") as connector:
        connector.ingest(documents())


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 129, 7])
def test_collection_names(tmp_path: Path, name: Any) -> None:
    with pytest.raises(InvalidInput, match="collection name"):
        connect(tmp_path, name=name)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"dimensions": 0}, InvalidDimensions),
        ({"dimensions": 65}, InvalidDimensions),
        ({"window": 1}, InvalidInput),
        ({"window": 100_000}, InvalidInput),
        ({"overlap": -1}, InvalidInput),
        ({"window": 50, "late_chunking": False}, InvalidInput),
    ],
)
def test_bad_settings(tmp_path: Path, settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(settings))):
        connect(tmp_path, **settings)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True])
def test_bad_limits(store: QdrantConnector, limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit must be a whole number above 0"):
        store.search("x", limit=limit)


def test_a_query_is_one_str(store: QdrantConnector) -> None:
    with pytest.raises(InvalidInput, match="search_many takes a list"):
        store.search(["x"])  # type: ignore[arg-type]


@pytest.mark.parametrize("document", ["text", None, Document("x", None)])  # type: ignore[arg-type]
def test_what_is_no_document(store: QdrantConnector, document: Any) -> None:
    with pytest.raises(DocumentError, match=r"expected a Document|its text must be a str"):
        store.ingest([document])


class Refusing(FakeEncoder):
    """Cannot read documents about bread."""

    def encode_documents(self, texts: Any, spans: Any, **settings: Any) -> list[np.ndarray]:
        if any("Bread" in text for text in texts):
            raise InvalidInput("no bread please")
        return super().encode_documents(texts, spans, **settings)


def test_a_document_that_cannot_be_encoded_is_named(tmp_path: Path) -> None:
    refused = pytest.raises(DocumentError, match="document 'bread': no bread please")
    with connect(tmp_path, encoder=Refusing()) as connector, refused:
        connector.ingest(documents())


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.connectors.qdrant.test_embedded import connect, Document

def documents():
    for number in range(100_000):
        if number == 3000:
            os.kill(os.getpid(), 9)
        yield Document(str(number), f"Text number {number}. It goes on.")

connect(Path(sys.argv[1])).ingest(documents())
"""


def test_killed_half_way_and_run_again(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(root)], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    with connect(tmp_path) as connector:
        stored = connector.count()
        assert 0 < stored < 6000
        connector.ingest(Document(str(number), f"Text number {number}. It goes on.") for number in range(3000))
        assert connector.count() == 6000


def test_killed_between_contract_and_first_point(tmp_path: Path) -> None:
    with connect(tmp_path) as connector:
        connector.ingest([])
    (tmp_path / "docs" / "shard").rename(tmp_path / "docs" / "shard.partial")
    (tmp_path / "docs" / "shard.partial" / "edge_config.json").unlink()
    with connect(tmp_path) as connector:
        connector.ingest(documents())
        assert connector.count() == 6


def test_the_contract_on_disk_is_readable(store: QdrantConnector, tmp_path: Path) -> None:
    values = json.loads((tmp_path / "docs" / "collection.json").read_text())["contract"]
    assert values["passage_task"] == "retrieval.passage"
    assert values["query_task"] == "retrieval.query"
    assert values["dimensions"] == 32
