"""kill -9 at random moments of an ingest, then the same ingest again: nothing lost, nothing twice, little done again.

$JINA_V3_KILLS and $JINA_V3_KILL_DOCUMENTS make it longer; docs/figures.md has figures of 20 kills of 2,000 documents.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors.ingestion.chunked import BATCH_CHUNKS, DONE_PER_BATCH, DONE_PER_LARGE_BATCH, FIRST_CHUNKS

from ...support.backends import REACHED_BY_OTHERS, Backend, Sentences, backend_named, release, reopen, same_vectors
from ...support.stopping import exit_code, process
from ..test_backends import expected, many

KILLS = int(os.environ.get("JINA_V3_KILLS", "2"))
DOCUMENTS = int(os.environ.get("JINA_V3_KILL_DOCUMENTS", "300"))
STARTED = "a run begins"


def fill(url: str, count: int, log: Path, ready: Connection) -> None:
    """In the child: ingest slowly enough to be killed half-way, and note every document that is encoded."""
    from jina_v3_connectors.backends import open_store
    from jina_v3_encoder.testing import FakeEncoder

    def note(lines: list[str]) -> None:
        with log.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    note([STARTED])

    class Noting(FakeEncoder):
        def encode_documents(self, texts: Any, spans: Any, **settings: Any) -> Any:
            note([f"{len(texts)} texts", *texts])
            time.sleep(0.002 * len(texts))
            return super().encode_documents(texts, spans, **settings)

    store = open_store(url, Noting(), COLLECTION, dimensions=32, late_chunking=True, chunker=Sentences())
    ready.send(True)
    with store:
        store.ingest(many(count))


COLLECTION = "docs"


@pytest.fixture(params=REACHED_BY_OTHERS)
def backend(request: pytest.FixtureRequest, tmp_path: Path, milvus_url: Any) -> Iterator[Backend]:
    with backend_named(request.param, tmp_path, milvus_url) as backend:
        yield backend


def test_killed_at_random_moments(backend: Backend, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    log = tmp_path / "encoded.txt"
    url = backend.url
    told, ready = Pipe(duplex=False)
    release(backend)
    order = random.Random(request.node.name)
    encoding = 0.002 * DOCUMENTS
    killed = 0
    for _ in range(KILLS):
        child = process(fill, url, DOCUMENTS, log, ready)
        child.start()
        assert told.poll(120), "it opens the collection"
        assert told.recv()
        time.sleep(order.uniform(0, 1.5 * encoding / KILLS))
        child.kill()
        killed += exit_code(child) == -9
    assert killed >= 1
    last = process(fill, url, DOCUMENTS, log, ready)
    last.start()
    assert exit_code(last) == 0
    reopen(backend)
    corpus = many(DOCUMENTS)
    assert same_vectors(backend.vectors(), expected(corpus)), "exactly the right ids with the right vectors"
    runs = [batches_of(run) for run in log.read_text().split(f"{STARTED}\n")[1:]]
    encoded = Counter(text for run in runs for batch in run for text in batch)
    assert set(encoded) == {document.text for document in corpus}
    being_encoded = Counter(text for run in runs[:-1] if run for text in run[-1])
    again = encoded - Counter(set(encoded))
    sys.stdout.write(f"{request.node.name}: {killed} kills, {again.total()} of {len(corpus)} documents encoded again\n")
    assert again <= being_encoded, "only what was being encoded when the kill came"
    done = 0
    for run in runs:
        for batch in run:
            assert 2 * len(batch) <= max(FIRST_CHUNKS, done // DONE_PER_BATCH), "which is little of what was done"
            assert 2 * len(batch) <= max(BATCH_CHUNKS, done // DONE_PER_LARGE_BATCH)
            done += 2 * len(batch)


def batches_of(run: str) -> list[list[str]]:
    """The texts of each batch that a run began to encode."""
    batches: list[list[str]] = []
    for line in run.splitlines():
        if line.endswith(" texts"):
            batches.append([])
        else:
            batches[-1].append(line)
    return batches
