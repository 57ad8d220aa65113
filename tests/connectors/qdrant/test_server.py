"""The real qdrant-client, in memory and over HTTP, against the same promises as the embedded store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient

from jina_v3_connectors import (
    Document,
    RetryPolicy,
    StoreBusy,
    StoreError,
    WholeDocument,
)
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.qdrant.metadata import CONTRACT_KEY
from jina_v3_connectors.store import shared_journal
from jina_v3_connectors.vectors import shortest
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ...servers.qdrant import qdrant_server
from ...servers.rest import Failures

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


def test_search_many_is_one_round_trip(connect: Connect, failures: Failures) -> None:
    store = connect()
    store.ingest(documents(10))
    failures.seen.clear()
    many = store.search_many(["number 1", "number 2"], limit=2)
    assert many == [store.search("number 1", limit=2), store.search("number 2", limit=2)]
    asked = [path for _, path in failures.seen if "/points" in path]
    assert len(asked) in (0, 3), "one for both, then one each; none in memory"
    assert store.search_many([]) == []


def test_the_contract_is_read_back(connect: Connect, client: QdrantClient) -> None:
    store = connect(dimensions=32, late_chunking=True)
    store.ingest(documents(3))
    again = QdrantConnector(FakeEncoder(), "docs", client=client)
    assert again.contract == store.contract
    assert again.contract.dimensions == 32
    metadata = client.get_collection("docs").config.metadata
    assert metadata is not None
    assert metadata[CONTRACT_KEY]["passage_task"] == "retrieval.passage"


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


def test_a_servers_wish_is_honoured() -> None:
    failures = Failures(share=1.0, kinds=(429,), retry_after=7, only="/points")
    with qdrant_server(failures) as url:
        client = QdrantClient(url=url, timeout=10, check_compatibility=False)
        store = QdrantConnector(FakeEncoder(), "docs", client=client, chunker=WholeDocument())
        with pytest.raises(StoreError, match="gave up after 1 tries"):
            store.ingest(documents(1), retry=RetryPolicy(total=5))
        with pytest.raises(StoreBusy) as caught:
            store.store.count()
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
        with pytest.raises(InvalidInput, match=r"pass one of path='\./folder' .*client=.*url="):
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
