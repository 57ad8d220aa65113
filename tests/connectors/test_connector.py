"""The base class alone, over a backend that is a dictionary: what every backend gets for free."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.connector import VectorConnector, check_collection_name
from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.documents import Chunk, Document, Hit
from jina_v3_connectors.errors import ContractMismatch, DocumentError, StoreNotFound
from jina_v3_connectors.filters import Condition
from jina_v3_connectors.fusion import Words
from jina_v3_connectors.limits import WriteLimits
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.store import Layout, Store, Stored, StoredVector
from jina_v3_encoder.errors import InvalidDimensions, InvalidInput, JinaV3Error
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.texts.late_chunking import DEFAULT_OVERLAP

from ..support.conditions import matches

Shelf = dict[str, Any]


class NoLayout:
    hybrid = False


class DictStore(Store):
    """Keeps contract and points in a dictionary, and a record of the calls."""

    write_limits = WriteLimits(rows=1000, bytes=10**8)
    folder: Path

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.calls = shelf, list[str]()

    @property
    def journal_file(self) -> Path:
        return self.folder / "journal.sqlite"

    def read(self) -> Stored | None:
        return Stored(self.shelf["contract"], NoLayout()) if "contract" in self.shelf else None

    def create(self, contract: EmbeddingContract) -> None:
        self.calls.append("create")
        self.shelf.update(contract=contract, points={})

    def upsert(self, chunks: Sequence[Chunk], vectors: np.ndarray, layout: Layout) -> None:
        self.calls.append("upsert")
        self.shelf["points"].update({chunk.id: (chunk, row) for chunk, row in zip(chunks, vectors, strict=True)})

    def delete(self, where: Condition) -> None:
        self.calls.append("delete")
        points = self.shelf["points"]
        self.shelf["points"] = {key: point for key, point in points.items() if not matches(where, point[0])}

    def ids(self) -> Iterator[tuple[str, int]]:
        return iter([(chunk.document_id, chunk.number) for chunk, _ in self.shelf.get("points", {}).values()])

    def check_adoptable(self, contract: EmbeddingContract) -> None:
        pass

    def sample(self, limit: int, where: Condition | None = None) -> list[StoredVector]:
        points = [
            (chunk, row) for chunk, row in self.shelf["points"].values() if where is None or matches(where, chunk)
        ]
        return points[:limit]

    def adopt(self, contract: EmbeddingContract) -> None:
        self.shelf.update(contract=contract)

    def point_alias(self, alias: str) -> None:
        self.calls.append(f"alias {alias}")

    def nearest(
        self,
        vectors: np.ndarray,
        limit: int,
        condition: Condition | None,
        words: Words | None,
        stored: Stored,
    ) -> list[list[Hit]]:
        points = self.shelf["points"].values()
        ranked = [sorted((Hit(float(row @ v), c) for c, v in points), key=lambda hit: -hit.score) for row in vectors]
        return [hits[:limit] for hits in ranked]

    def count(self) -> int:
        return len(self.shelf["points"])

    def real_name(self) -> str:
        return "docs"

    def drop(self) -> None:
        self.shelf.clear()

    def close(self) -> None:
        self.calls.append("close")


class DictConnector(VectorConnector):
    """Over a `DictStore`."""

    def __init__(self, shelf: Shelf, **settings: Any) -> None:
        store = DictStore(shelf)
        self.calls = store.calls
        super().__init__(settings.pop("encoder", FakeEncoder()), "docs", store, **settings)


@pytest.fixture(autouse=True)
def journal_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DictStore, "folder", tmp_path, raising=False)


def test_defaults_of_a_new_collection() -> None:
    contract = DictConnector({}).contract
    assert contract.dimensions == 64
    assert not contract.late_chunking
    assert (contract.window, contract.overlap) == (None, None)
    assert (contract.passage_task, contract.query_task) == ("retrieval.passage", "retrieval.query")
    assert (contract.prompts, contract.normalized, contract.output_type) == (True, True, "float32")


def test_late_chunking_writes_its_window_into_the_contract() -> None:
    contract = DictConnector({}, late_chunking=True).contract
    assert (contract.window, contract.overlap) == (8192, DEFAULT_OVERLAP)
    small = DictConnector({}, late_chunking=True, window=100).contract
    assert (small.window, small.overlap) == (100, 50)


def test_nothing_is_created_before_the_first_ingest() -> None:
    shelf: Shelf = {}
    connector = DictConnector(shelf)
    with pytest.raises(StoreNotFound, match="does not exist yet; ingest documents into it first"):
        connector.search("x")
    assert shelf == {}
    connector.ingest([])
    assert "contract" in shelf


def test_old_chunks_go_after_new_ones_are_written() -> None:
    """Stopped in between, a document is there twice in part, never missing."""
    connector = DictConnector({})
    connector.ingest([Document("a", "text"), Document("empty", " ")])
    assert connector.calls == ["create", "upsert"], "a collection made just now holds nothing old"
    connector.ingest([Document("a", " "), Document("new", "text")])
    assert connector.calls[2:] == ["upsert", "delete"], "for the one that shrank; the journal knows that 'new' is new"


def test_a_second_connector_takes_the_stored_settings() -> None:
    shelf: Shelf = {}
    with DictConnector(shelf, dimensions=16, late_chunking=True, window=128, overlap=8) as first:
        first.ingest([Document("a", "text")])
    assert first.calls[-1] == "close"
    assert DictConnector(shelf).contract == first.contract


@pytest.mark.parametrize("settings", [{"dimensions": 8}, {"late_chunking": True}, {"encoder": FakeEncoder(32)}])
def test_other_settings_are_refused_on_opening(settings: dict[str, Any]) -> None:
    shelf: Shelf = {}
    DictConnector(shelf).ingest([Document("a", "text")])
    before = dict(shelf)
    with pytest.raises((ContractMismatch, InvalidDimensions), match=r"was filled in another way|dimensions must be"):
        DictConnector(shelf, **settings)
    assert shelf == before


def test_an_empty_collection_of_other_settings_is_told_from_a_full_one() -> None:
    """As it is left by an ingest whose first document was refused."""
    shelf: Shelf = {}
    with pytest.raises(DocumentError, match="null character"):
        DictConnector(shelf).ingest([Document("a", "bad\0"), Document("b", "good")])
    told = r"'docs' was made for another way of filling it, and is still empty.*new collection, or delete this one\."
    with pytest.raises(ContractMismatch, match=f"(?s){told}") as mismatch:
        DictConnector(shelf, dimensions=16)
    assert mismatch.value.differences == {"dimensions": (FakeEncoder().dimensions, 16)}
    DictConnector(shelf).ingest([Document("b", "good")])
    with pytest.raises(ContractMismatch, match=r"(?s)'docs' was filled in another way.*new collection\. Nothing"):
        DictConnector(shelf, dimensions=16)


def test_hits_are_ranked_by_cosine() -> None:
    connector = DictConnector({})
    connector.ingest([Document("cat", "the black cat"), Document("moon", "a distant moon")])
    (hits,) = connector.search_many(["black cat"], limit=5)
    assert [hit.chunk.document_id for hit in hits] == ["cat", "moon"]
    assert hits[0].score > hits[1].score


@pytest.mark.parametrize("name", ["docs", "a", "A-1_b.c", "9lives", "x" * 128])
def test_names_that_are_fine_everywhere(name: str) -> None:
    assert check_collection_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "a b", "a/b", "a\\b", "ä", "a\n", "x" * 129, None, 3])
def test_names_that_are_not(name: Any) -> None:
    with pytest.raises(InvalidInput, match="collection name"):
        check_collection_name(name)


@pytest.mark.parametrize(
    ("method", "argument", "message"),
    [
        (
            "search_many",
            "one question",
            "search_many takes several questions, got the str 'one question'",
        ),
        ("delete", None, "delete takes several ids, got NoneType"),
        ("ingest", None, "ingest takes an iterable of Documents, got NoneType"),
        ("nearest", [[1.0]], r"query vectors must be an array \(questions, dimensions\), got list"),
    ],
)
def test_an_argument_of_another_kind_is_named(tmp_path: Path, method: str, argument: Any, message: str) -> None:
    with QdrantConnector(FakeEncoder(), "docs", path=tmp_path) as store:
        store.create()
        with pytest.raises(JinaV3Error, match=message):
            getattr(store, method)(argument)


@pytest.mark.parametrize("name", ["ingest", "search", "search_many", "nearest", "delete", "count"])
def test_async_methods_take_what_their_namesakes_take(name: str) -> None:
    twin = inspect.signature(getattr(VectorConnector, f"{name}_async")).parameters
    parameters = inspect.signature(getattr(VectorConnector, name)).parameters
    assert list(twin) == list(parameters)
    defaults = {key: value.default for key, value in parameters.items() if key != "on_progress"}
    assert {key: value.default for key, value in twin.items() if key != "on_progress"} == defaults
