"""A process that is killed before or after each effect of a move. The next run ends as a clean one does."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from jina_v3_connectors import Document
from jina_v3_connectors.ingestion.journal import Journal
from jina_v3_connectors.migration.live import MigratingConnector
from jina_v3_connectors.migration.opening import name_reader, store_opener
from jina_v3_connectors.migration.sources import open_source
from jina_v3_connectors.migration.state import MigrationState
from jina_v3_connectors.migration.switching import rollback, switch
from jina_v3_connectors.qdrant.embedded import EmbeddedStore
from jina_v3_encoder.state import STATE_VARIABLE

from ..support.backends import Backend, backend_named, release, reopen
from ..support.stopping import PATIENCE, exit_code, process
from .moving import NEW, OLD, clean_vectors, corpus, fill, move, old_collection, read_all

When = Literal["before", "after"]
OF_A_RUN: dict[str, type] = {
    "begin": MigrationState,
    "reach": MigrationState,
    "list_records": MigrationState,
    "create": EmbeddedStore,
    "open_encoded": Journal,
    "upsert": EmbeddedStore,
    "record": Journal,
    "open_known": Journal,
    "delete": EmbeddedStore,
    "forget": Journal,
    "settle": EmbeddedStore,
}
"""What a run changes, in about this order."""
OF_A_WRITE: dict[str, type] = {
    "note": MigrationState,
    "upsert": EmbeddedStore,
    "record": Journal,
    "settle_writer": MigrationState,
    "put_records": MigrationState,
    "drop_changes": MigrationState,
}
"""What a write to both collections changes."""
OF_A_SWITCH: dict[str, type] = {"point": MigrationState, "point_alias": EmbeddedStore, "reach": MigrationState}
KILLED = -signal.SIGKILL
SLOWEST = 20
"""Documents a second that are moved on a busy machine."""
CHANGED = [*corpus(8)[:3], *corpus(8, version=2)[4:], Document("new", "A new one. In two parts.")]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return f"qdrant:{tmp_path / 'store'}"


def killed_at(owner: type, effect: str, when: When, call: int) -> None:
    """Make this process end at a call of an effect."""
    original, calls = getattr(owner, effect), 0

    def replacement(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, effect, replacement)


def run(url: str, stop: tuple[type, str, When, int] | None = None) -> None:
    if stop is not None:
        killed_at(*stop)
    with move(url, url) as migration:
        assert migration.run().is_complete


def write(url: str, documents: list[Document], stop: tuple[type, str, When, int] | None = None) -> None:
    if stop is not None:
        killed_at(*stop)
    with old_collection(url) as old, move(url, url, beside=old.store) as migration:
        MigratingConnector(old, migration).ingest(documents)


def switch_over(url: str, stop: tuple[type, str, When, int] | None = None) -> None:
    with move(url, url) as migration:
        if stop is not None:
            killed_at(*stop)
        switch(migration, "live", store_opener(url))


def ended(function: Callable[..., None], *arguments: Any, documents: int = 0) -> int:
    """How a process ended. One that may have to move many `documents` may take longer."""
    child = process(function, *arguments)
    child.start()
    return exit_code(child, PATIENCE + documents / SLOWEST)


def moved(url: str) -> dict[str, list[float]]:
    return {key: [round(value, 5) for value in vector] for key, vector in read_all(open_source(url, NEW)).items()}


def texts(url: str, collection: str) -> set[tuple[str | None, int | None, str | None]]:
    """What a collection holds, without vectors."""
    source = open_source(url, collection)
    try:
        return {(record.document_id, record.order, record.text) for record in source.records(vectors=False)}
    finally:
        source.close()


def clean(documents: list[Document], folder: Path) -> dict[str, list[float]]:
    vectors = clean_vectors(documents, folder)
    return {key: [round(value, 5) for value in vector] for key, vector in vectors.items()}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", OF_A_RUN)
def test_a_run_that_is_killed(url: str, effect: str, when: When, tmp_path: Path) -> None:
    """First a killed run over the corpus, then one over a changed corpus; nothing stands in the way of the last one."""
    fill(url, corpus(8))
    stop = OF_A_RUN[effect], effect, when, 1
    first = ended(run, url, stop)
    fill(url, CHANGED)
    second = ended(run, url, stop)
    assert KILLED in (first, second)
    run(url)
    assert moved(url) == clean(CHANGED, tmp_path / "clean")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", OF_A_WRITE)
def test_a_write_to_both_that_is_killed(url: str, effect: str, when: When, tmp_path: Path) -> None:
    fill(url, corpus(8))
    run(url)
    documents = [*corpus(8, version=2)[:4], Document("new", "A new one. In two parts.")]
    assert ended(write, url, documents, (OF_A_WRITE[effect], effect, when, 1)) == KILLED
    with old_collection(url) as old, move(url, url, beside=old.store) as migration:
        migration.follow()
        assert migration.waiting() == 0
    assert texts(url, OLD) == texts(url, NEW)
    with old_collection(url) as old, move(url, url, beside=old.store) as migration:
        MigratingConnector(old, migration).ingest(documents)
    assert moved(url) == clean([*documents[:4], *corpus(8)[4:], documents[4]], tmp_path / "whole")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", OF_A_SWITCH)
def test_a_switch_that_is_killed(url: str, effect: str, when: When) -> None:
    """The name stands for one of the two all the time; switching again and going back work."""
    fill(url, corpus(3))
    with old_collection(url) as old:
        old.swap_alias("live")
    run(url)
    assert ended(switch_over, url, (OF_A_SWITCH[effect], effect, when, 1)) == KILLED

    def size() -> int:
        with name_reader(url, "live") as read:
            stored = read()
        assert stored is not None
        return stored.contract.dimensions

    assert size() in (16, 32)
    switch_over(url)
    assert size() == 16
    with move(url, url) as migration:
        rollback(migration.state, store_opener(url))
    assert size() == 32


def run_between(source: str, target: str, effect: str, when: When, call: int) -> None:
    with move(source, target) as migration:
        owner = Journal if OF_A_RUN[effect] is Journal else type(migration.target.store)
        killed_at(owner, effect, when, call)
        migration.run()


PLACES = ("embedded", "http", "lite", "documents", "postgres")
"""One of each: Qdrant's engine here, its server's stand-in, Milvus Lite, Pinecone's stand-in, PostgreSQL."""


SERVED = [(name, "embedded") for name in ("tcp", "server")]
PAIRS = [*product(PLACES, PLACES), *SERVED, *((target, source) for source, target in SERVED)]
"""Each two, also the same twice, and a Milvus server to and from a folder."""
PAIRS.remove(("documents", "documents"))  # an index of Pinecone has one contract for all its namespaces


@contextmanager
def opened(names: Sequence[str], folder: Path, milvus_url: Any) -> Iterator[list[Backend]]:
    """Backends, each with a folder of its own, that other processes can reach."""
    with ExitStack() as stack:
        backends = [stack.enter_context(backend_named(name, folder / name, milvus_url)) for name in names]
        for backend in backends:
            release(backend)
        yield backends
        for backend in backends:
            reopen(backend)


@pytest.mark.servers
@pytest.mark.parametrize(("source_name", "target_name"), PAIRS)
def test_many_kills_on_the_way(source_name: str, target_name: str, milvus_url: Any, tmp_path: Path) -> None:
    """At any call of an upsert or of the journal, again and again, between and within backends."""
    with opened(list(dict.fromkeys((source_name, target_name))), tmp_path, milvus_url) as backends:
        source, target = backends[0].url, backends[-1].url
        chance = random.Random(4)
        documents = corpus(int(os.environ.get("JINA_V3_MIGRATION_DOCUMENTS", "40")))
        fill(source, documents)
        kills = 0
        for number in range(int(os.environ.get("JINA_V3_MIGRATION_KILLS", "2"))):
            effect = chance.choice(["upsert", "record", "open_encoded"])
            arguments = effect, chance.choice(["before", "after"]), 1 + (number if len(documents) > 1000 else 0)
            kills += ended(run_between, source, target, *arguments, documents=len(documents)) == KILLED
        assert kills
        with move(source, target) as migration:
            assert migration.run(sample=0).is_complete
        before, got = texts(source, OLD), texts(target, NEW)
        assert got == before
        wanted, vectors = clean(documents, tmp_path / "clean"), read_all(open_source(target, NEW))
        assert vectors.keys() == wanted.keys()
        assert all(np.allclose(vectors[key], wanted[key], atol=2e-5) for key in wanted)
