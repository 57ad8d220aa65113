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
    Chunk,
    ContractMismatch,
    Document,
    DocumentError,
    StoreError,
    StoreNotFound,
)
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.stores import open_store, stored_contract
from jina_v3_encoder.errors import InvalidDimensions, InvalidInput, InvalidVector
from jina_v3_encoder.testing import FakeEncoder

TEXTS = {
    "cats": "The black cat sleeps. It dreams of mice.",
    "moon": "The moon is far away. It has no air.",
    "bread": "Bread rises slowly. It needs warmth.",
}


class Sentences:
    """A chunker that needs no tokenizer."""

    description = "sentences"

    def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
        spans, start = [], 0
        for position, character in enumerate(text):
            if character == ".":
                spans.append((start, position + 1))
                start = position + 2
        return spans


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


def test_ingest_then_search(store: QdrantConnector) -> None:
    assert store.count() == 6
    best, *_ = store.search("a black cat", limit=3)
    assert best.chunk == Chunk("cats", 0, 0, 21, "The black cat sleeps.", {"topic": "cats"})
    assert 0 < best.score <= 1.0001


def test_scores_are_cosines_of_query_and_passage_vectors(store: QdrantConnector) -> None:
    encoder = FakeEncoder()
    question = encoder.encode("no air", task="retrieval.query", dimensions=32)
    text = TEXTS["moon"]
    passage = encoder.encode_spans(text, [(0, 21), (22, 36)], task="retrieval.passage", dimensions=32)[1]
    hit = next(hit for hit in store.search("no air", limit=6) if hit.chunk.text == "It has no air.")
    assert hit.score == pytest.approx(float(question @ passage), abs=1e-5)


def test_search_many_is_search_one_by_one(store: QdrantConnector) -> None:
    queries = ["black cat", "the moon", "warm bread"]
    assert store.search_many(queries, limit=2) == [store.search(query, limit=2) for query in queries]
    assert store.search_many([]) == []


def test_the_report_counts(tmp_path: Path) -> None:
    with connect(tmp_path) as connector:
        report = connector.ingest([*documents(), Document("empty", "")])
    assert (report.documents, report.chunks, report.empty) == (4, 6, 1)
    assert report.seconds_encoding > 0
    assert report.seconds_writing > 0


def test_again_changes_nothing(store: QdrantConnector) -> None:
    before = ids(store)
    store.ingest(documents())
    assert ids(store) == before
    assert store.count() == 6


def test_a_changed_document_replaces_its_chunks_and_leaves_no_tail(store: QdrantConnector) -> None:
    store.ingest([Document("cats", "The white cat purrs.")])
    assert store.count() == 5
    texts = {hit.chunk.text for hit in store.search("cat", limit=10) if hit.chunk.document_id == "cats"}
    assert texts == {"The white cat purrs."}
    store.ingest([Document("cats", "")])
    assert store.count() == 4


def test_reopened_without_settings_it_knows_them(store: QdrantConnector, tmp_path: Path) -> None:
    store.close()
    with QdrantConnector(FakeEncoder(), "docs", path=tmp_path) as again:
        assert again.contract == store.contract
        assert again.contract.dimensions == 32
        assert again.contract.late_chunking
        assert again.search("a black cat", limit=1)[0].chunk.document_id == "cats"


def test_documents_are_taken_as_they_are_needed(tmp_path: Path) -> None:
    taken = 0

    def endless() -> Iterator[Document]:
        nonlocal taken
        for number in range(5000):
            taken += 1
            yield Document(str(number), f"Text number {number}. And more.")
        raise KeyboardInterrupt

    with connect(tmp_path) as connector, pytest.raises(KeyboardInterrupt):
        connector.ingest(endless())
    with connect(tmp_path) as connector:
        assert 0 < connector.count() < 2 * taken


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"dimensions": 16}, "dimensions"),
        ({"late_chunking": False}, "late_chunking"),
        ({"window": 100, "overlap": 10}, "window"),
        ({"overlap": 7}, "overlap"),
        ({"encoder": FakeEncoder(model_id="other")}, "fingerprint"),
    ],
)
def test_a_collection_filled_in_another_way_is_refused(
    store: QdrantConnector, tmp_path: Path, settings: dict[str, Any], field: str
) -> None:
    store.close()
    with pytest.raises(ContractMismatch) as caught:
        connect(tmp_path, **settings)
    assert field in caught.value.differences
    with connect(tmp_path) as untouched:
        assert untouched.count() == 6


def test_another_chunker_may_search_but_not_write(store: QdrantConnector, tmp_path: Path) -> None:
    store.close()
    with QdrantConnector(FakeEncoder(), "docs", path=tmp_path) as connector:
        assert connector.search("cat")
        with pytest.raises(ContractMismatch, match="chunker: the collection has 'sentences', you use 'whole document'"):
            connector.ingest(documents())


def test_late_and_plain_collections_hold_different_vectors(tmp_path: Path) -> None:
    with connect(tmp_path, name="late") as late, connect(tmp_path, name="plain", late_chunking=False) as plain:
        for connector in (late, plain):
            connector.ingest(documents())
        scores = [connector.search("the moon", limit=6)[-1].score for connector in (late, plain)]
    assert scores[0] != scores[1]


def test_searching_before_anything_was_stored(tmp_path: Path) -> None:
    with connect(tmp_path) as connector:
        assert connector.count() == 0
        with pytest.raises(StoreNotFound, match="ingest documents into it first"):
            connector.search("x")
    assert list(tmp_path.iterdir()) == []


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
    with pytest.raises(StoreError, match="nothing says which model made them"):
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
    with pytest.raises(error):
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
    with pytest.raises(DocumentError, match="expected a Document"):
        store.ingest([document])


class Broken(FakeEncoder):
    """Returns what no store may receive."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def encode_documents(self, texts: Any, spans: Any, **settings: Any) -> list[np.ndarray]:
        return [np.array([self.values] * len(own), dtype=np.float32) for own in spans]


@pytest.mark.parametrize("values", [[0.0] * 32, [float("nan")] * 32, [1.0] * 32, [1.0]])
def test_bad_vectors_never_reach_the_store(tmp_path: Path, values: list[float]) -> None:
    with connect(tmp_path, encoder=Broken(values)) as connector:
        with pytest.raises(InvalidVector):
            connector.ingest(documents())
        assert connector.count() == 0


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
from tests.connectors.test_qdrant import connect, Document

def documents():
    for number in range(100_000):
        if number == 3000:
            os.kill(os.getpid(), 9)
        yield Document(str(number), f"Text number {number}. It goes on.")

connect(Path(sys.argv[1])).ingest(documents())
"""


def test_killed_half_way_and_run_again(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
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


def test_stores_by_url(store: QdrantConnector, tmp_path: Path) -> None:
    store.close()
    url = f"qdrant:{tmp_path}"
    assert stored_contract(url, "docs") == store.contract
    with open_store(url, FakeEncoder(), "docs") as connector:
        assert connector.count() == 6
    with pytest.raises(StoreNotFound, match="jina-v3 ingest PATH --to"):
        stored_contract(url, "other")


@pytest.mark.parametrize("url", ["", "qdrant", "qdrant:", "qdrant://host", "mysql:./x", "./store"])
def test_unknown_urls(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"unknown store .*qdrant:\./folder"):
        stored_contract(url, "docs")


def test_the_contract_on_disk_is_readable(store: QdrantConnector, tmp_path: Path) -> None:
    values = json.loads((tmp_path / "docs" / "collection.json").read_text())
    assert values["passage_task"] == "retrieval.passage"
    assert values["query_task"] == "retrieval.query"
    assert values["dimensions"] == 32
