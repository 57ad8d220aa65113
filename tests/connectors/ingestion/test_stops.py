"""Killed on purpose in every gap between two effects, in every order of versions: all is as after a clean run.

$JINA_V3_AIMED_KILLS makes it longer.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors.documents import Chunk
from jina_v3_connectors.ingestion.journal import Journal
from jina_v3_connectors.store import Store
from jina_v3_encoder.testing import FakeEncoder

from ...support.backends import (
    REACHED_BY_OTHERS,
    Backend,
    Sentences,
    Vectors,
    backend_named,
    release,
    reopen,
    same_vectors,
)
from ...support.stopping import (
    EFFECTS,
    NOT_IN_AN_INGEST,
    QDRANT_CREATES,
    WITHOUT_EFFECT,
    Stop,
    connect,
    corpus,
    ingest,
)

KILLS = int(os.environ.get("JINA_V3_AIMED_KILLS", "5"))
STATES = (0, 1, 2, 3)
ORDERS = [order for order in itertools.product(STATES, repeat=3) if any(order)]
"""Versions of a document before the killed run, in it, and in the run after it; 0 is not there."""
STOPS = [
    (effect, when)
    for effect in ("open_encoded", "upsert", "delete", "record", "open_known", "forget", "forget_kept", "settle")
    for when in ("before", "after")
]


@pytest.fixture(params=REACHED_BY_OTHERS)
def backend(request: pytest.FixtureRequest, tmp_path: Path, milvus_url: Any) -> Iterator[Backend]:
    with backend_named(request.param, tmp_path, milvus_url) as backend:
        release(backend)
        yield backend
        reopen(backend)


@pytest.fixture
def embedded(tmp_path: Path, milvus_url: Any) -> Iterator[Backend]:
    with backend_named("embedded", tmp_path, milvus_url) as backend:
        yield backend


def test_the_table_names_every_effect() -> None:
    """A new method is an effect, to be stopped at, or has none."""
    for kind in (Journal, Store):
        public = {name for name in vars(kind) if not name.startswith("_") and name not in {"write_limits"}}
        effects = {name for name, (owner, _) in EFFECTS.items() if owner is kind}
        assert public == effects | WITHOUT_EFFECT[kind] | (NOT_IN_AN_INGEST & public)


def wanted(versions: Sequence[tuple[str, int]]) -> tuple[dict[tuple[str, int], str], Vectors]:
    """Texts by document and number, and vectors by point id, straight from chunker and encoder."""
    texts: dict[tuple[str, int], str] = {}
    vectors: Vectors = {}
    for document in corpus(versions):
        spans = Sentences().spans(document.text)
        rows = FakeEncoder().encode_spans(document.text, spans, task="retrieval.passage", dimensions=32)
        for number, (start, end) in enumerate(spans):
            texts[document.id, number] = document.text[start:end]
            vectors[str(Chunk(document.id, number, start, end, "").id)] = rows[number]
    return texts, vectors


def stored(backend: Backend) -> tuple[dict[tuple[str, int], str], Vectors]:
    with connect(backend.url) as connector:
        hits = connector.search("one", limit=2000)
        texts = {(hit.chunk.document_id, hit.chunk.number): hit.chunk.text for hit in hits}
        assert sorted(texts) == sorted(connector.ids())
    reopen(backend)
    vectors = backend.vectors()
    release(backend)
    return texts, vectors


def test_killed_in_every_gap(backend: Backend, request: pytest.FixtureRequest) -> None:
    """Each kill meets other documents: their order and the number of the call are drawn."""
    order = random.Random(request.node.name)
    stops = list(itertools.islice(itertools.cycle(order.sample(STOPS, len(STOPS))), KILLS))
    killed = 0
    for number, (effect, when) in enumerate(stops):
        orders = order.sample(ORDERS, 12 if effect != "forget_kept" else 3)
        names = [f"d{number}-{index}" for index in range(len(orders))]
        before, during, after = (list(zip(names, column, strict=True)) for column in zip(*orders, strict=True))
        assert ingest(backend.url, before, prune=True) == 0
        call = order.randint(1, {"upsert": 8, "open_encoded": 3, "record": 3}.get(effect, 1))
        killed += ingest(backend.url, during, Stop(effect, when, call), prune=True) == -9  # type: ignore[arg-type]
        assert ingest(backend.url, after, prune=True) == 0
        texts, vectors = wanted(after)
        found_texts, found_vectors = stored(backend)
        assert found_texts == texts, (effect, when, call, orders)
        assert same_vectors(found_vectors, vectors), (effect, when, call, orders)
    assert killed >= len(stops) / 2
    sys.stdout.write(f"{request.node.name}: {killed} kills\n")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", ["upsert", "delete", "record"])
@pytest.mark.parametrize("orders", [(1, 2, 1), (1, 2, 3), (0, 2, 0), (2, 1, 2), (3, 0, 3), (2, 3, 0)], ids=str)
def test_one_document(embedded: Backend, orders: tuple[int, int, int], effect: str, when: Any) -> None:
    """Silently wrong before intents were written down: v1, v2 killed, v1; two chunks, six killed, three; new, gone."""
    before, during, after = ([("d", version), ("other", 1)] for version in orders)
    assert ingest(embedded.url, before) == 0
    ingest(embedded.url, during, Stop(effect, when), prune=True)
    assert ingest(embedded.url, after, prune=True) == 0
    assert stored(embedded)[0] == wanted(after)[0]


@pytest.mark.parametrize("effect", ["create", "next_generation", "set_writer"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_anything_is_written(backend: Backend, effect: str, when: Any) -> None:
    versions = [("a", 1), ("b", 2)]
    assert ingest(backend.url, versions, Stop(effect, when)) == -9
    assert ingest(backend.url, versions) == 0
    assert stored(backend)[0] == wanted(versions)[0]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", QDRANT_CREATES)
def test_killed_between_two_calls_of_create(tmp_path: Path, milvus_url: Any, call: str, when: Any) -> None:
    """The contract was there then, and the index of the documents' names never would be."""
    versions = [("a", 1), ("b", 2)]
    with backend_named("http", tmp_path, milvus_url) as backend:
        assert ingest(backend.url, versions, Stop(call, when)) == -9
        for _ in range(2):
            assert ingest(backend.url, versions) == 0
        assert stored(backend)[0] == wanted(versions)[0]
        assert ("PUT", "/collections/docs/index") in backend.failures.seen


@pytest.mark.parametrize("effect", ["open_all", "compare", "next_generation", "set_writer", "upsert", "record"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_taking_over(embedded: Backend, effect: str, when: Any) -> None:
    assert ingest(embedded.url, [("a", 2), ("gone", 1), ("b", 1)]) == 0
    journal = next(embedded.folder.rglob("journal.sqlite"))
    for file in journal.parent.glob("journal.sqlite*"):
        file.unlink()
    after = [("a", 3), ("b", 1)]
    assert ingest(embedded.url, after, Stop(effect, when), take_over=True, prune=True) == -9
    assert ingest(embedded.url, after, take_over=True, prune=True) == 0
    assert stored(embedded)[0] == wanted(after)[0]
