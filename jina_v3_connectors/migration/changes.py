"""What changes in the old collection while it is moved, and how the new one follows.

Three rules lose nothing, wherever anything dies:

1. A change is noted before it is made, and the note is settled when it is made.
2. For each note the document is read again, after the note was read, and written to the new collection.
3. A note goes when the new collection holds what was read, if the note was settled before that reading. A note whose
   writer is alive stays.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from filelock import FileLock, Timeout

from ..documents import Chunk
from .rebuild import document_id_of
from .records import Record, Source
from .state import AT_ONCE, MigrationState
from .survey import row_of

PROBED = 64
"""Chunk numbers that are asked for at once, to find all chunks of a document."""


class Noted(NamedTuple):
    """Documents whose notes wait, and the notes that may go once these documents are written."""

    documents: list[str]
    settled: list[int]


class Changes(Protocol):
    """Notes of one kind of writer."""

    def noted(self, source: Source, state: MigrationState) -> Noted:
        """The oldest notes. The list of records in `state` is brought up to date for their documents."""

    def drop(self, numbers: Sequence[int]) -> None:
        """Remove notes."""

    def waiting(self) -> int:
        """How many notes there are."""

    def documents(self, source: Source, state: MigrationState) -> set[str]:
        """The documents of the notes that wait. Changes nothing."""


class WriterNotes:
    """Notes of `MigratingConnector`, in the state on this machine. The old collection is one of ours."""

    def __init__(self, state: MigrationState) -> None:
        self._state = state

    def noted(self, source: Source, state: MigrationState) -> Noted:
        changes = self._state.changes()
        dead = {writer for writer in {change.writer for change in changes} if writer and not is_alive(state, writer)}
        for writer in dead:
            state.settle_writer(writer)
        documents = list(dict.fromkeys(change.document for change in changes))
        for document in documents:
            records = list(_chunks_of(source, document))
            (before,) = state.keys_of([document])
            state.drop_records(set(before.keys) - {record.key for record in records})
            state.put_records([row_of(record) for record in records])
        settled = [change.number for change in changes if change.writer is None or change.writer in dead]
        return Noted(documents, settled)

    def drop(self, numbers: Sequence[int]) -> None:
        self._state.drop_changes(numbers)

    def waiting(self) -> int:
        return self._state.count_changes()

    def documents(self, source: Source, state: MigrationState) -> set[str]:
        return {change.document for change in self._state.changes()}


def _chunks_of(source: Source, document: str) -> Iterator[Record]:
    """All chunks of a document in one of our collections, found by their ids."""
    number = 0
    while True:
        keys = [str(Chunk(document, n, 0, 0, "").id) for n in range(number, number + PROBED)]
        records = source.read(keys)
        yield from records
        if len(records) < PROBED:
            return
        number += PROBED


class Writer:
    """A call's name in the notes. It holds a lock as long as it runs, so that others see whether it does."""

    def __init__(self, state: MigrationState) -> None:
        self.name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._lock = FileLock(writer_lock(state, self.name), thread_local=False)
        self._lock.acquire()

    def close(self) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def writer_lock(state: MigrationState, writer: str) -> Path:
    """The file that a writer locks."""
    digest = hashlib.blake2b(f"{state.name}\x1f{writer}".encode(), digest_size=8).hexdigest()
    return state.file.with_name(f"{state.file.name}.writer-{digest}.lock")


def is_alive(state: MigrationState, writer: str) -> bool:
    """Whether a writer of the notes still runs."""
    path = writer_lock(state, writer)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0, thread_local=False):
            path.unlink(missing_ok=True)
            return False
    except Timeout:
        return True


def documents_of(source: Source, state: MigrationState, keys: Sequence[str]) -> set[str]:
    """The documents that some records belong to, or belonged to when they were listed."""
    return set(state.documents_of(keys).values()) | {document_id_of(record) for record in source.read(keys)}


def records_changed(source: Source, state: MigrationState, keys: Iterable[str]) -> list[str]:
    """Bring the list of records up to date for some keys. Returns the documents that they belong to, or belonged to."""
    wanted = list(dict.fromkeys(keys))
    documents = dict.fromkeys(state.documents_of(wanted).values())
    records = [record for page in _pages(wanted) for record in source.read(page)]
    state.put_records([row_of(record) for record in records])
    state.drop_records(set(wanted) - {record.key for record in records})
    documents |= dict.fromkeys(document_id_of(record) for record in records)
    return list(documents)


def _pages(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE))


@contextmanager
def held(lock_file: Path, seconds: float) -> Iterator[bool]:
    """Hold a lock between processes and threads. False where somebody else holds it for so long."""
    lock = FileLock(lock_file, timeout=seconds, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
