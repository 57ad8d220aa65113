"""What only a real Milvus server does: stand still, refuse large answers, release collections, ask for a token.

`make test-servers` installs and runs it. The kills between the calls that make a collection also run on Milvus Lite's.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pymilvus import MilvusClient, SegmentState

from jina_v3_connectors import Chunk, Document, RetryPolicy, ServerTooOld, StoreError
from jina_v3_connectors.documents import Tail
from jina_v3_connectors.filters import chunks_of
from jina_v3_connectors.ingestion.chunked import FIRST_CHUNKS
from jina_v3_connectors.milvus import MilvusConnector, MilvusLayout
from jina_v3_connectors.milvus import search as milvus_search
from jina_v3_connectors.milvus import store as milvus_store
from jina_v3_connectors.milvus.connector import TOKEN_VARIABLE, connect
from jina_v3_connectors.milvus.schema import collection_schema, properties
from jina_v3_connectors.milvus.store import MilvusStore
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ...servers.milvus_standalone import MISSING, PASSWORD, PROGRAM, Standalone, running
from ...support.backends import SERVER, Backend, Sentences, backend_named, same_vectors
from ...support.stopping import exit_code, process
from ..test_backends import expected, many

PATIENT = RetryPolicy(first=0.1, longest=0.5, total=120)


class Gap(NamedTuple):
    """A moment of an ingest: before or after one of the calls that change the server."""

    call: str
    moment: str


GAPS = [
    Gap(call, moment)
    for call in ("create_collection", "create_index", "load_collection", "upsert", "flush")
    for moment in ("before", "after")
]


def fill_and_die(url: str, call: str, moment: str) -> None:
    """In the child: ingest, and be killed at the gap."""
    from jina_v3_connectors.backends import open_store

    original = getattr(MilvusClient, call)

    def deadly(*arguments: Any, **settings: Any) -> None:
        if moment == "after":
            original(*arguments, **settings)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(MilvusClient, call, deadly)
    with open_store(url, FakeEncoder(), "docs", dimensions=32, late_chunking=True, chunker=Sentences()) as store:
        store.ingest(many(20))


@pytest.fixture(params=["tcp", SERVER])
def backend(request: pytest.FixtureRequest, tmp_path: Path, milvus_url: Any) -> Iterator[Backend]:
    with backend_named(request.param, tmp_path, milvus_url) as backend:
        yield backend


@pytest.mark.parametrize("gap", GAPS, ids="-".join)
def test_killed_at_a_gap(backend: Backend, gap: Gap) -> None:
    child = process(fill_and_die, backend.url, *gap)
    child.start()
    assert exit_code(child) == -signal.SIGKILL, "it came to the gap"
    with backend.connect() as store:
        stored = {Gap("upsert", "after"): FIRST_CHUNKS, GAPS[-2]: 40, GAPS[-1]: 40}.get(gap, 0)
        assert store.count() == stored
        if gap != GAPS[0]:
            assert len(store.search("text", limit=50)) == stored
        store.ingest(many(20))
        assert store.ingest(many(20)).unchanged == 20
        assert len(store.search("text", limit=50)) == 40
    assert same_vectors(backend.vectors(), expected(many(20)))


def test_an_index_made_later_is_the_one_that_was_planned(backend: Backend) -> None:
    with backend.connect() as store:
        contract = store.contract
    client: MilvusClient = backend.client  # type: ignore[attr-defined]
    layout = MilvusLayout(index="IVF_FLAT")
    client.create_collection(
        "docs", schema=collection_schema(contract, layout), properties=properties(contract, layout)
    )
    with backend.connect() as store:
        store.ingest(many(20))
        assert store.count() == 40
    assert client.describe_index("docs", "dense")["index_type"] == "IVF_FLAT"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    if not PROGRAM.exists():
        pytest.skip(MISSING)
    with running(Standalone(tmp_path_factory.mktemp("milvus"))) as standalone:
        yield standalone


@pytest.fixture
def open_docs(server: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens "docs" on the server, which starts without it."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    client = connect(server.url)
    for name in client.list_collections():
        client.drop_collection(name)
    client.close()
    settings: dict[str, Any] = {"chunker": Sentences(), "dimensions": 32, "late_chunking": True}
    return partial(MilvusConnector, FakeEncoder(), "docs", url=server.url, **settings)


def client_of(store: MilvusConnector) -> MilvusClient:
    assert isinstance(store.store, MilvusStore)
    return store.store.client


@pytest.mark.servers
def test_a_server_that_stands_still_is_waited_for(
    server: Standalone, open_docs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.process is not None
    still = partial(os.kill, server.process.pid)

    def documents() -> Iterator[Document]:
        for number, document in enumerate(many(200)):
            if number == 100:
                still(signal.SIGSTOP)
                threading.Timer(6.0, still, [signal.SIGCONT]).start()
            yield document

    with open_docs() as store:
        store.create()
        for module in (milvus_store, milvus_search):
            monkeypatch.setattr(module, "TIMEOUT", 4.0)
        report = store.ingest(documents(), retry=PATIENT)
        assert report.documents == 200
        assert report.retried >= 1, "it was longer than one call may take"
        assert sorted(store.ids()) == sorted((f"d{n}", chunk) for n in range(200) for chunk in (0, 1))


def long_chunks(count: int, characters: int) -> tuple[list[Chunk], Any]:
    vectors = np.random.default_rng(0).normal(size=(count, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [Chunk(f"d{n}", 0, 0, 1, f"{n} " + "x" * characters, {"n": n}) for n in range(count)], vectors


def fill(store: MilvusConnector, chunks: list[Chunk], vectors: Any) -> None:
    store.create()
    for start in range(0, len(chunks), 200):
        store.store.upsert(chunks[start : start + 200], vectors[start : start + 200], MilvusLayout())


@pytest.mark.servers
def test_answers_larger_than_a_message_come_in_parts(open_docs: Any) -> None:
    with open_docs(layout=MilvusLayout(index="FLAT")) as store:
        chunks, vectors = long_chunks(1200, 60_000)
        fill(store, chunks, vectors)
        (hits,) = store.store.nearest(vectors[:1], 1200, None, None, store.stored)
        order = np.argsort(-(vectors @ vectors[0]))
        assert [hit.chunk for hit in hits] == [chunks[n] for n in order]
        assert [hit.score for hit in hits] == pytest.approx((vectors @ vectors[0])[order].tolist(), abs=1e-5)


@pytest.mark.servers
def test_a_thousand_questions_of_a_hundred_hits(open_docs: Any) -> None:
    with open_docs(layout=MilvusLayout(index="FLAT")) as store:
        chunks, vectors = long_chunks(1000, 1500)
        fill(store, chunks, vectors)
        answers = store.store.nearest(vectors, 100, None, None, store.stored)
        assert [len(hits) for hits in answers] == [100] * 1000
        assert [hits[0].chunk for hits in answers] == chunks


@pytest.mark.servers
def test_a_released_collection_is_loaded_again(open_docs: Any) -> None:
    with open_docs() as store:
        store.ingest(many(20))
        calls: dict[str, Callable[[], bool]] = {
            "search": lambda: len(store.search("text", limit=50)) == 40,
            "count": lambda: store.count() == 40,
            "ids": lambda: len(list(store.ids())) == 40,
            "ingest": lambda: store.ingest([Document("new", "A text.")]).chunks == 1,
        }
        for name, works in calls.items():
            client_of(store).release_collection("docs")
            assert works(), name
        client_of(store).release_collection("docs")
        store.delete(["d0"])
        assert store.count() == 39


@pytest.mark.servers
def test_a_server_that_restarted_while_nobody_asked(server: Standalone, open_docs: Any) -> None:
    with open_docs() as store:
        store.ingest(many(20))
        server.kill()
        server.start()
        assert store.count() == 40
        assert len(store.search("text", limit=50)) == 40


@pytest.mark.servers
def test_a_server_that_dies_and_comes_back(server: Standalone, open_docs: Any) -> None:
    def restart() -> None:
        server.kill()
        server.start()

    def documents() -> Iterator[Document]:
        for number, document in enumerate(many(400)):
            if number == 200:
                restarting.start()
            yield document

    restarting = threading.Thread(target=restart)
    with open_docs() as store:
        report = store.ingest(documents(), retry=PATIENT)
        restarting.join()
        assert report.documents == 400
        assert sorted(store.ids()) == sorted((f"d{n}", chunk) for n in range(400) for chunk in (0, 1))


@pytest.mark.servers
def test_filters_of_many_parts(open_docs: Any) -> None:
    with open_docs() as store:
        store.ingest(many(100))

        def numbers(condition: dict[str, Any]) -> set[int]:
            return {hit.chunk.metadata["n"] for hit in store.search("text", limit=300, filter=condition)}

        assert numbers({"or": [{"n": n} for n in range(80)]}) == set(range(80))
        assert numbers({"and": [{"n": {"ne": n}} for n in range(90)]}) == set(range(90, 100))
        assert numbers({"or": [{"n": {"gte": n, "lt": n + 1}} for n in range(500)]}) == set(range(100))
        store.store.delete(chunks_of([Tail(f"d{n}", 1) for n in range(90)]))
        assert store.count() == 110


@pytest.mark.servers
def test_another_process_sees_what_was_ingested(server: Standalone, open_docs: Any) -> None:
    with open_docs() as store, open_docs() as other:
        store.ingest(many(2))
        for count in range(3, 7):
            store.ingest(many(count))
            assert len(other.search("text", limit=50)) == 2 * count
            assert len(list(other.ids())) == 2 * count


@pytest.mark.servers
def test_rows_are_deleted_again_when_the_flushed_ones_are_loaded(
    open_docs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Milvus 2.3.5 forgets deletions that come while it loads: once in some hundred ingests rows came back."""
    deletions: list[tuple[bool, list[str]]] = []

    def watched(collection: str, ids: list[str], timeout: float) -> Any:
        flushed = {segment.segment_id for segment in client.list_persistent_segments("docs")}
        segments = client.list_loaded_segments("docs")
        sealed = {segment.segment_id for segment in segments if segment.state == SegmentState.Sealed}
        deletions.append((flushed <= sealed, ids))
        return deleted(collection, ids=ids, timeout=timeout)

    with open_docs() as store:
        client = client_of(store)
        deleted = client.delete
        monkeypatch.setattr(client, "delete", watched)
        store.ingest(many(20))
        assert deletions == [], "nothing is deleted, and nothing is waited for"
        store.ingest(many(10), prune=True)
        (_, pruned), (loaded, again) = deletions
        assert len(pruned) == 20
        assert (loaded, again) == (True, pruned)
        store.ingest(many(12), prune=True)
        assert len(deletions) == 2, "what is stored again is not deleted"
        assert store.count() == 24


@pytest.mark.servers
def test_what_others_stored_again_is_not_deleted_again(open_docs: Any) -> None:
    """A deletion is repeated by the ingest that made it, and by no later one."""
    with open_docs() as store:
        store.ingest(many(3))
        store.delete(["d0"])
        with open_docs() as other:
            other.ingest(many(1))
        store.ingest([Document("new", "A text.")])
        assert sorted(store.ids()) == [*((f"d{n}", chunk) for n in range(3) for chunk in (0, 1)), ("new", 0)]


@pytest.mark.servers
def test_settling_waits_for_the_index(open_docs: Any) -> None:
    rows = 8000
    with open_docs() as store:
        vectors = np.random.default_rng(0).normal(size=(rows, 32)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        fill(store, [Chunk(str(n), 0, 0, 1, "x", {}) for n in range(rows)], vectors)
        store.store.settle()
        index = client_of(store).describe_index("docs", "dense")
        assert (index["total_rows"], index["indexed_rows"]) == (rows, rows)
        segments = client_of(store).list_loaded_segments("docs")
        sealed = {segment.segment_id: segment.num_rows for segment in segments if segment.state == SegmentState.Sealed}
        assert sum(sealed.values()) == rows, segments  # what is still growing is on its way out, and counted twice


@pytest.mark.servers
def test_an_index_that_takes_too_long_is_told(open_docs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus_store, "INDEX_SECONDS", 0.0)
    with open_docs() as store:
        chunks, vectors = long_chunks(400, 10)
        fill(store, chunks, vectors)
        answered = store.store.client.describe_index
        # How far the server has come is a matter of luck, so it says that it has not begun.
        late = lambda *arguments, **options: answered(*arguments, **options) | {"pending_index_rows": 4000}  # noqa: E731
        monkeypatch.setattr(store.store.client, "describe_index", late)
        with pytest.warns(UserWarning, match=r"'docs': Milvus still has 4,000 rows to index after 0 s"):
            store.store.settle()


@pytest.mark.servers
@pytest.mark.parametrize("index", ["HNSW", "IVF_FLAT", "FLAT", "AUTOINDEX"])
def test_every_index_finds(open_docs: Any, index: Any) -> None:
    with open_docs(layout=MilvusLayout(index=index)) as store:
        store.ingest(many(20))
        assert store.search("text number 7", limit=1)[0].chunk.document_id == "d7"


@pytest.mark.servers
@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (MilvusLayout(hybrid=True), "has no BM25: leave out hybrid"),
        (MilvusLayout(datatype="float16"), "does not store float16: use float32"),
        (MilvusLayout(partition_key="tenant"), "finds nothing by partition keys"),
    ],
    ids=["BM25", "16 bits", "partition key"],
)
def test_what_version_2_3_cannot_do_is_refused(open_docs: Any, layout: MilvusLayout, told: str) -> None:
    with open_docs(layout=layout) as store:
        with pytest.raises(ServerTooOld, match=f"collection 'docs': Milvus v2.3.5-lite {told}"):
            store.ingest([Document("a", "A text.", {"tenant": "b"})])
        assert not client_of(store).has_collection("docs")


@pytest.mark.servers
def test_a_token_that_is_missing_or_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not PROGRAM.exists():
        pytest.skip(MISSING)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    with running(Standalone(tmp_path / "data", asks_for_token=True)) as server:
        open_here = partial(MilvusConnector, FakeEncoder(), "docs", url=server.url)
        monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
        with pytest.raises(
            StoreError, match=r"asks for a token \(missing auth.*\): set \$MILVUS_TOKEN to user:password"
        ):
            open_here()
        for token in ("root:wrong", "nonsense"):
            monkeypatch.setenv(TOKEN_VARIABLE, token)
            with pytest.raises(StoreError, match=r"refuses the token in \$MILVUS_TOKEN \(auth check failure") as caught:
                open_here()
            assert token not in str(caught.value)
        monkeypatch.setenv(TOKEN_VARIABLE, PASSWORD)
        with open_here() as store:
            store.ingest(many(2))
            assert store.count() == 2
