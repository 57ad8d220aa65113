"""Every effect of an ingest by name, and a process that is killed just before or just after one of them.

An effect is a call after which something is different on a disk or on a server. Whatever lies between two effects is a
gap in which a run may end; a run that ends after one effect and before the next leaves exactly what is told here.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, Literal, NamedTuple

from jina_v3_connectors import Document, VectorConnector
from jina_v3_connectors.backends import open_store
from jina_v3_connectors.ingestion.journal import Journal
from jina_v3_connectors.limits import WriteLimits
from jina_v3_connectors.store import Store
from jina_v3_encoder.testing import FakeEncoder

from .backends import Sentences

When = Literal["before", "after"]
EFFECTS: dict[str, tuple[type, str]] = {
    "create": (Store, "the collection is there, empty, with its contract"),
    "next_generation": (Journal, "the journal counts this ingest, the collection does not know of it"),
    "set_writer": (Store, "the collection names this ingest"),
    "open_all": (Journal, "take-over: no row is believed"),
    "compare": (Journal, "what differs from the collection is open"),
    "open_encoded": (Journal, "documents are open, their vectors are kept, nothing is stored"),
    "upsert": (Store, "some or all chunks of open documents are stored"),
    "delete": (Store, "chunks past the new end, or pruned documents, are gone; their rows are open"),
    "record": (Journal, "documents are whole, their vectors no longer kept"),
    "forget_kept": (Journal, "vectors of documents that are not in this run are gone"),
    "open_known": (Journal, "documents to be deleted are open, and still stored"),
    "forget": (Journal, "deleted documents have no row"),
    "settle": (Store, "the store has flushed"),
}
WITHOUT_EFFECT = {
    Journal: {"get", "expected", "kept", "keeps_any", "absent", "generation", "mark_as_present", "whole", "close"},
    Store: {
        "read",
        "read_recent",
        "fusion",
        "check_storable",
        "writer",
        "nearest",
        "check_adoptable",
        "sample",
        "real_name",
        "ids",
        "count",
        "close",
        "journal_file",
        "counts_after",
        "partition",
        "writer_pause",
        "new_layout",
    },
}
QDRANT_CREATES = ("create_collection", "create_payload_index")
"""The client's calls of which `create` consists; those of Milvus are in test_milvus_server."""
NOT_IN_AN_INGEST = {"adopt", "point_alias", "drop"}
VERSIONS = {
    1: "First one of {0}. First two of {0}.",
    2: "Two a {0}. Two b {0}. Two c {0}. Two d {0}. Two e {0}. Two f {0}.",
    3: "Third one of {0}. Third two of {0}. Third three of {0}.",
}
COLLECTION = "docs"
PATIENCE = 120.0
"""Seconds that a process may take for a few documents."""
SETTINGS: dict[str, Any] = {"dimensions": 32, "late_chunking": True, "chunker": Sentences()}


class Stop(NamedTuple):
    """Kill the process at the `call`-th call of an effect."""

    effect: str
    when: When
    call: int = 1


def corpus(versions: Sequence[tuple[str, int]]) -> list[Document]:
    """Documents in the given versions; version 0 is not there."""
    return [
        Document(name, VERSIONS[version].format(name), {"version": version}) for name, version in versions if version
    ]


def connect(url: str) -> VectorConnector:
    """With requests of three chunks, so that a batch takes several."""
    connector = open_store(url, FakeEncoder(), COLLECTION, **SETTINGS)
    limits = connector.store.write_limits
    connector.store.write_limits = WriteLimits(
        3, limits.bytes, 1, limits.text_bytes, limits.metadata_bytes, limits.terms
    )
    return connector


def ingest(url: str, versions: Sequence[tuple[str, int]], stop: Stop | None = None, **options: bool) -> int:
    """Ingest in another process, killed at `stop`; its exit code."""
    child = process(_run, url, list(versions), stop, options)
    child.start()
    return exit_code(child)


def process(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Another process for a call, not yet started; it is forked from one that has imported this module already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context.Process(target=_with_environment, args=(dict(os.environ), function, arguments))


def exit_code(child: BaseProcess, seconds: float = PATIENCE) -> int:
    """Of a process that ends, or is killed, in time."""
    child.join(seconds)
    assert child.exitcode is not None, "it hangs"
    return child.exitcode


def _with_environment(environment: dict[str, str], function: Callable[..., None], arguments: Sequence[Any]) -> None:
    os.environ.update(environment)
    function(*arguments)


def _run(url: str, versions: Sequence[tuple[str, int]], stop: Stop | None, options: dict[str, bool]) -> None:
    with connect(url) as connector:
        if stop is not None:
            owner = _owner(stop.effect, connector.store)
            setattr(owner, stop.effect, _killing(getattr(owner, stop.effect), stop))
        connector.ingest(corpus(versions), **options)  # type: ignore[arg-type]


def _owner(effect: str, store: Any) -> type:
    if effect not in EFFECTS:
        return type(store.client)
    return Journal if EFFECTS[effect][0] is Journal else type(store)


def _killing(effect: Callable[..., Any], stop: Stop) -> Callable[..., Any]:
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == stop.call and stop.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = effect(*arguments, **options)
        if calls == stop.call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call
