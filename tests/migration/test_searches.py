"""Searches that go on while the name is switched and rolled back: none fails, none mixes the two collections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors import VectorConnector
from jina_v3_connectors.backends import open_store
from jina_v3_connectors.documents import Hit
from jina_v3_connectors.errors import ContractMismatch
from jina_v3_connectors.migration.live import MigratingConnector
from jina_v3_connectors.migration.migration import Migration
from jina_v3_connectors.migration.opening import name_reader, store_opener
from jina_v3_connectors.migration.switching import rollback, switch
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import SERVER, Backend
from .moving import OLD_SIZE, corpus, fill, move, old_collection

WITH_ALIASES = ("http", "lite", "tcp", SERVER, "postgres")
QUESTION = "Sentence 0 of 4, version 1"
SWITCHES = 3
BETWEEN = 0.3
"""Seconds. A name that goes there and back within one search is not noticed."""
Answer = list[tuple[str, float]]


class Another(FakeEncoder):
    """A model whose vectors have the size of the usual one's, and mean something else."""

    def __init__(self) -> None:
        super().__init__(model_id="another")

    def encode(self, *arguments: Any, **options: Any) -> Any:
        vectors = super().encode(*arguments, **options)[..., ::-1]
        roots = np.sign(vectors) * np.sqrt(np.abs(vectors))
        return roots / np.linalg.norm(roots, axis=-1, keepdims=True)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


def answer(hits: list[Hit]) -> Answer:
    return [(str(hit.chunk.id), hit.score) for hit in hits]


def is_like(first: Answer, second: Answer) -> bool:
    """The same chunks with the same scores; those of one score may stand in another order."""
    one, other = dict(first), dict(second)
    return one.keys() == other.keys() and all(np.isclose(one[key], other[key], atol=1e-4) for key in one)


@contextmanager
def moved(url: str, encoder: FakeEncoder, **changes: Any) -> Iterator[tuple[VectorConnector, Migration]]:
    """The old collection with its name "live", and a complete move."""
    fill(url, corpus(6))
    with old_collection(url) as old, move(url, url, encoder, beside=old.store, **changes) as migration:
        old.swap_alias("live")
        assert migration.run().is_complete
        yield old, migration


def under_load(search: Callable[[], list[Hit]], migration: Migration, url: str) -> tuple[list[Answer], list[Exception]]:
    """What threads that search without a pause got while the name went there and back."""
    answers: list[Answer] = []
    errors: list[Exception] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(answer(search()))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(SWITCHES):
            switch(migration, "live", store_opener(url))
            time.sleep(BETWEEN)
            rollback(migration.state, store_opener(url))
            time.sleep(BETWEEN)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return answers, errors


@pytest.mark.parametrize("backend", WITH_ALIASES, indirect=True)
def test_searches_in_what_is_live(backend: Backend) -> None:
    """Two models of one size: a question of one in the collection of the other would give other scores."""
    url, new_model = backend.url, Another()
    with moved(url, new_model, dimensions=OLD_SIZE, late_chunking=False) as (old, migration):
        wanted = [answer(connector.search(QUESTION)) for connector in (old, migration.target)]
        assert not is_like(*wanted)
        with name_reader(url, "live") as name:
            both = MigratingConnector(old, migration, name)
            answers, errors = under_load(lambda: both.live.search(QUESTION), migration, url)
    assert not errors
    seen = [next((n for n, one in enumerate(wanted) if is_like(one, got)), None) for got in answers]
    assert set(seen) == {0, 1}


@pytest.mark.parametrize("backend", WITH_ALIASES, indirect=True)
def test_searches_by_the_name(backend: Backend) -> None:
    """One model in two sizes: the name alone tells which one a question needs."""
    with moved(backend.url, FakeEncoder()) as (old, migration):
        wanted = [answer(connector.search(QUESTION)) for connector in (old, migration.target)]
        assert not is_like(*wanted)
        with open_store(backend.url, FakeEncoder(), "live") as live:
            answers, errors = under_load(lambda: live.search(QUESTION), migration, backend.url)
    assert not errors
    seen = [next((n for n, one in enumerate(wanted) if is_like(one, got)), None) for got in answers]
    assert set(seen) == {0, 1}


@contextmanager
def switching_within_a_search(live: VectorConnector, new: VectorConnector) -> Iterator[None]:
    """The name moves after the contract was read, and before the collection is asked."""
    nearest = live.store.nearest

    def late(*arguments: Any) -> Any:
        live.store.nearest = nearest  # type: ignore[method-assign]
        new.swap_alias("live")
        return nearest(*arguments)

    live.store.nearest = late  # type: ignore[method-assign,assignment]
    yield


@pytest.mark.parametrize("size", [16, OLD_SIZE], ids=["another size", "one size"])
@pytest.mark.parametrize("backend", WITH_ALIASES, indirect=True)
def test_a_name_that_moves_within_a_search(backend: Backend, size: int) -> None:
    with (
        moved(backend.url, FakeEncoder(), dimensions=size) as (_, migration),
        open_store(backend.url, FakeEncoder(), "live") as live,
        switching_within_a_search(live, migration.target),
    ):
        assert is_like(answer(live.search(QUESTION)), answer(migration.target.search(QUESTION)))


@pytest.mark.parametrize("backend", WITH_ALIASES, indirect=True)
def test_a_name_that_moves_to_another_model_within_a_search(backend: Backend) -> None:
    """Vectors of one size, so no store would refuse them."""
    new_model = Another()
    with (
        moved(backend.url, new_model, dimensions=OLD_SIZE, late_chunking=False) as (_, migration),
        open_store(backend.url, FakeEncoder(), "live") as live,
        switching_within_a_search(live, migration.target),
        pytest.raises(ContractMismatch, match="another"),
    ):
        live.search(QUESTION)
