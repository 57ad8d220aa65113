"""A third of all requests fail: the ingest ends, in bounded time, with the same result."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from jina_v3_connectors import Document, RetryPolicy, StoreError
from jina_v3_connectors.milvus import MilvusConnector
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ..servers.milvus import free_port, start_milvus
from ..servers.rest import Failures
from ..support.backends import Backend, Sentences, backend_named, same_vectors
from .test_backends import expected, many

AT_ONCE = RetryPolicy(first=0.01, longest=0.02, total=60.0)
KINDS: dict[str, tuple[int | str, ...]] = {
    "unavailable": (503,),
    "rate": (429,),
    "resets": ("reset",),
    "timeouts": ("stall",),
    "all": (500, 502, 503, 504, 429, "reset"),
}


@pytest.fixture(params=["http", "documents", "vectors"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, milvus_url: Any) -> Iterator[Backend]:
    with backend_named(request.param, tmp_path, milvus_url) as backend:
        yield backend


@pytest.mark.parametrize("kind", KINDS)
def test_a_third_of_requests_fails(backend: Backend, kind: str) -> None:
    own_retries = not backend.url.startswith("qdrant")
    count = {"timeouts": 12, "rate": 40}.get(kind, 40 if own_retries else 200)
    with backend.connect() as store:
        store.ingest([])
        failures = backend.failures
        failures.kinds, failures.share, failures.order = KINDS[kind], 0.3, random.Random(3)
        failures.retry_after = 1 if kind == "rate" and backend.url.startswith("qdrant") else None
        report = store.ingest(many(count), retry=AT_ONCE)
        failures.share = 0.0
        assert failures.failed > 0
        assert report.documents == count
        assert report.seconds < 60
        assert store.count() == 2 * count
    assert same_vectors(backend.vectors(), expected(many(count)))


def test_searches_and_openings_are_repeated_too(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(many(20))
        backend.failures.share = 0.3
        for number in range(10):
            (hit,) = store.search(f"text number {number}", limit=1)
            assert hit.chunk.text.startswith("Text number")
        backend.connect().close()
        backend.failures.share = 0.0


def test_a_store_that_stays_busy_ends_the_run_and_keeps_what_was_written(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(many(100))
        backend.failures.share = 1.0
        with pytest.raises(StoreError, match=r"gave up after \d+ tries .*injected failure"):
            store.ingest(many(200), retry=RetryPolicy(first=0.01, longest=0.02, total=0.2))
        backend.failures.share = 0.0
        report = store.ingest(many(200))
        assert (report.unchanged, report.documents) == (100, 100)
    assert same_vectors(backend.vectors(), expected(many(200)))


def test_requests_that_may_run_side_by_side_do(tmp_path: Path, milvus_url: Any) -> None:
    with backend_named("documents", tmp_path, milvus_url) as backend, backend.connect(dimensions=64) as store:
        store.ingest([])
        text = " ".join(f"Sentence number {n} {' ' * 20_000}." for n in range(150))
        report = store.ingest([Document("long", text)])
        assert report.chunks == 150
        upserts = [path for _, path in backend.failures.seen if path.endswith("/upsert")]
        assert len(upserts) >= 2
        assert sorted(store.ids()) == [("long", n) for n in range(150)]


def test_a_milvus_server_that_dies_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    port = free_port()
    servers = [start_milvus(tmp_path / "data", port)]

    def restart() -> None:
        servers[0].kill()
        servers[0].wait()
        time.sleep(0.5)
        servers.append(start_milvus(tmp_path / "data", port))

    def documents() -> Iterator[Document]:
        for number, document in enumerate(many(400)):
            if number == 200:
                threads[0].start()
            yield document

    threads = [threading.Thread(target=restart)]
    client = MilvusClient(f"http://127.0.0.1:{port}")
    try:
        settings: dict[str, Any] = {"chunker": Sentences(), "dimensions": 32, "late_chunking": True}
        store = MilvusConnector(FakeEncoder(), "docs", client=client, **settings)
        report = store.ingest(documents(), retry=RetryPolicy(first=0.1, longest=0.5, total=60))
        threads[0].join()
        assert report.documents == 400
        assert sorted(store.ids()) == sorted((f"d{n}", chunk) for n in range(400) for chunk in (0, 1))
    finally:
        client.close()
        servers[-1].kill()
        servers[-1].wait()


def test_nothing_answers() -> None:
    start = time.monotonic()
    with pytest.raises(StoreError, match="no Milvus server answers"):
        MilvusConnector(FakeEncoder(), "docs", url="http://127.0.0.1:9")
    assert time.monotonic() - start < 30


def test_a_missing_package_names_its_pip_line() -> None:
    code = (
        "import sys\n"
        "for name in ('pymilvus', 'pinecone', 'qdrant_client', 'psycopg'): sys.modules[name] = None\n"
        "from jina_v3_connectors.backends import store_at\n"
        "import os; os.environ['PINECONE_API_KEY'] = 'x'\n"
        "for url in ('milvus+http://h:1', 'pinecone:docs', 'qdrant+http://h:1', 'postgresql://h/d'):\n"
        "    try: store_at(url, 'docs')\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for extra in ("milvus", "pinecone", "qdrant", "postgres"):
        assert f"pip install 'jina-v3-connectors[{extra}]'" in done.stdout


def test_failures_are_counted() -> None:
    failures = Failures(share=1.0, kinds=(503,), only="/x")
    assert [failures.next("GET", path) for path in ("/x", "/y")] == [503, None]
    assert failures.failed == 1
