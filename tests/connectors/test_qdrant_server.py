"""The real qdrant-client, in memory and over HTTP, against the same promises as the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from jina_v3_connectors import (
    ContractMismatch,
    Document,
    RetryPolicy,
    StoreBusy,
    StoreError,
    StoreNotFound,
    WholeDocument,
)
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.qdrant.server import CONTRACT_KEY, shortest
from jina_v3_connectors.store import STATE_VARIABLE, shared_journal
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

from ..servers.qdrant import qdrant_server
from ..servers.rest import Failures
from .test_qdrant_filters import METADATA, wanted

AT_ONCE = RetryPolicy(first=0.01, longest=0.02, total=30.0)
Connect = Callable[..., QdrantConnector]


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture(params=["memory", "http"])
def client(request: pytest.FixtureRequest, failures: Failures) -> Iterator[QdrantClient]:
    if request.param == "memory":
        client = QdrantClient(":memory:")
        yield client
        client.close()
        return
    with qdrant_server(failures) as url:
        client = QdrantClient(url=url, timeout=10, check_compatibility=False)
        yield client
        client.close()


@pytest.fixture
def connect(client: QdrantClient) -> Connect:
    def connect(**settings: Any) -> QdrantConnector:
        encoder = settings.pop("encoder", FakeEncoder())
        return QdrantConnector(encoder, "docs", client=client, chunker=WholeDocument(), **settings)

    return connect


def documents(count: int) -> list[Document]:
    return [Document(f"d{n}", f"text number {n}", {"n": n, "even": n % 2 == 0}) for n in range(count)]


def test_ingest_search_delete(connect: Connect) -> None:
    store = connect(dimensions=32)
    with pytest.raises(StoreNotFound):
        store.search("x")
    report = store.ingest(documents(150))
    assert (report.documents, store.count()) == (150, 150)
    assert sorted(store.ids()) == sorted((f"d{n}", 0) for n in range(150))
    (best, *_) = store.search("text number 77", limit=3)
    assert (best.chunk.document_id, best.chunk.text, best.chunk.metadata["n"]) == ("d77", "text number 77", 77)
    store.delete(["d77", "unknown"])
    assert store.count() == 149
    assert store.ingest(documents(150)).documents == 1


def test_scores_are_cosines(connect: Connect) -> None:
    store = connect(dimensions=32)
    store.ingest(documents(20))
    encoder = FakeEncoder()
    query = encoder.encode("number 3", task="retrieval.query", dimensions=32)
    for hit in store.search("number 3", limit=20):
        passage = encoder.encode(hit.chunk.text, task="retrieval.passage", dimensions=32)
        assert hit.score == pytest.approx(float(query @ passage), abs=1e-5)


def test_search_many_is_one_round_trip(connect: Connect, failures: Failures) -> None:
    store = connect()
    store.ingest(documents(10))
    failures.seen.clear()
    many = store.search_many(["number 1", "number 2"], limit=2)
    assert many == [store.search("number 1", limit=2), store.search("number 2", limit=2)]
    asked = [path for _, path in failures.seen if "/points" in path]
    assert len(asked) in (0, 3), "one for both, then one each; none in memory"
    assert store.search_many([]) == []


@pytest.mark.parametrize(
    "filter_",
    [
        {"lang": "de"},
        {"lang": {"ne": "de"}},
        {"lang": {"in": []}},
        {"year": {"gte": 2020}},
        {"year": 2020},
        {"draft": True},
        {"draft": False},
        {"tags": 2},
        {"author.name": "Ada"},
        {"größe": 7},
        {"two-words": "x"},
        {"or": [{"lang": "nl"}, {"not": {"year": {"gt": 0}}}]},
        {"or": []},
        {"document_id": "4"},
    ],
    ids=str,
)
def test_filters_mean_the_same_everywhere(connect: Connect, filter_: dict[str, Any]) -> None:
    store = connect()
    store.ingest(Document(str(n), f"text {n}", values) for n, values in enumerate(METADATA))
    found = {hit.chunk.document_id for hit in store.search("text", limit=50, filter=filter_)}
    assert found == wanted(filter_)


def test_the_contract_is_read_back(connect: Connect, client: QdrantClient) -> None:
    store = connect(dimensions=32, late_chunking=True)
    store.ingest(documents(3))
    again = QdrantConnector(FakeEncoder(), "docs", client=client)
    assert again.contract == store.contract
    assert again.contract.dimensions == 32
    metadata = client.get_collection("docs").config.metadata
    assert metadata is not None
    assert metadata[CONTRACT_KEY]["passage_task"] == "retrieval.passage"


@pytest.mark.parametrize(
    "settings", [{"dimensions": 16}, {"late_chunking": True}, {"encoder": FakeEncoder(model_id="b")}]
)
def test_other_settings_are_refused_and_change_nothing(
    connect: Connect, client: QdrantClient, settings: dict[str, Any]
) -> None:
    connect(dimensions=32).ingest(documents(3))
    with pytest.raises(ContractMismatch):
        connect(**({"dimensions": 32} | settings))
    assert client.count("docs").count == 3


def test_a_foreign_collection_is_not_touched(connect: Connect, client: QdrantClient) -> None:
    vectors = models.VectorParams(size=64, distance=models.Distance.COSINE)
    client.create_collection("docs", vectors_config=vectors)
    with pytest.raises(StoreError, match="was not made by this project"):
        connect()
    assert client.count("docs").count == 0


def test_a_changed_document_leaves_no_tail(client: QdrantClient) -> None:
    class Sentences:
        description = "sentences"

        def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
            ends = [n + 1 for n, character in enumerate(text) if character == "."]
            return list(zip([0, *ends], ends, strict=False))

    store = QdrantConnector(FakeEncoder(), "docs", client=client, chunker=Sentences())
    store.ingest([Document("a", "One. Two. Three."), Document("b", "B.")])
    store.ingest([Document("a", "Last.")])
    assert sorted(store.ids()) == [("a", 0), ("b", 0)]


def test_a_rerun_does_nothing(connect: Connect, failures: Failures) -> None:
    connect().ingest(documents(50))
    failures.seen.clear()
    report = connect().ingest(documents(50))
    assert (report.unchanged, report.documents) == (50, 0)
    asked = {path.removeprefix("/collections/docs/points") for _, path in failures.seen if "points" in path}
    assert asked <= {"/count"}, "nothing is written"


def test_a_collection_made_anew_is_filled_anew(connect: Connect, client: QdrantClient) -> None:
    connect().ingest(documents(5))
    client.delete_collection("docs")
    assert connect().ingest(documents(5)).documents == 5


def test_closing_leaves_the_client_open(connect: Connect, client: QdrantClient) -> None:
    with connect() as store:
        store.ingest(documents(2))
    assert client.count("docs").count == 2


@pytest.mark.parametrize("kinds", [(503,), (429,), ("reset",), (500, 502, 503, 504, 429, "reset")])
def test_failing_requests_are_repeated(kinds: tuple[int | str, ...]) -> None:
    failures = Failures(kinds=kinds)
    with qdrant_server(failures) as url:
        client = QdrantClient(url=url, timeout=10, check_compatibility=False)
        store = QdrantConnector(FakeEncoder(), "docs", client=client, dimensions=16, chunker=WholeDocument())
        store.ingest([])
        failures.share, failures.only = 0.3, "/points"
        report = store.ingest(documents(600), retry=AT_ONCE)
        failures.share = 0.0
        assert failures.failed > 0
        assert report.retried == failures.failed
        assert store.count() == 600
        client.close()


def test_a_servers_wish_is_honoured() -> None:
    failures = Failures(share=1.0, kinds=(429,), retry_after=7, only="/points")
    with qdrant_server(failures) as url:
        client = QdrantClient(url=url, timeout=10, check_compatibility=False)
        store = QdrantConnector(FakeEncoder(), "docs", client=client, chunker=WholeDocument())
        with pytest.raises(StoreError, match="gave up after 1 tries"):
            store.ingest(documents(1), retry=RetryPolicy(total=5))
        with pytest.raises(StoreBusy) as caught:
            store.count()
        assert caught.value.retry_after == 7.0
        client.close()


def test_a_server_that_is_not_there() -> None:
    client = QdrantClient(url="http://127.0.0.1:9", timeout=2, check_compatibility=False)
    with pytest.raises(StoreBusy, match="cannot be reached"):
        QdrantConnector(FakeEncoder(), "docs", client=client)
    client.close()


def test_a_body_over_the_servers_limit_is_an_error_not_a_loop() -> None:
    with qdrant_server(max_body=2000) as url:
        client = QdrantClient(url=url, timeout=10, check_compatibility=False)
        store = QdrantConnector(FakeEncoder(), "docs", client=client, chunker=WholeDocument())
        with pytest.raises(StoreError, match="payload too large"):
            store.ingest([Document("a", "x" * 3000)], retry=AT_ONCE)
        client.close()


def test_path_or_client() -> None:
    for settings in ({}, {"path": "x", "client": QdrantClient(":memory:")}):
        with pytest.raises(InvalidInput, match=r"pass either path='\./folder' .* or client="):
            QdrantConnector(FakeEncoder(), "docs", **settings)  # type: ignore[arg-type]


def test_the_journal_of_servers_lies_in_the_state_folder(
    connect: Connect, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect().ingest(documents(1))
    assert (state_folder / "journal.sqlite").exists()
    monkeypatch.delenv(STATE_VARIABLE)
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert shared_journal() == Path("/somewhere/jina-v3/journal.sqlite")


def test_numbers_are_sent_short_and_exact() -> None:
    row = np.random.default_rng(0).normal(size=256).astype(np.float32)
    sent = shortest(row)
    assert np.array_equal(np.array(sent, dtype=np.float32), row)
    assert len(str(sent)) < 0.7 * len(str(row.tolist()))
