"""What a collection holds, document by document, so that a rerun does only what is left."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .errors import StoreError

LISTED_AT_ONCE = 1000
DOCUMENTS = """
CREATE TABLE IF NOT EXISTS documents (
    target TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, chunks INTEGER NOT NULL, run INTEGER NOT NULL,
    PRIMARY KEY (target, id)
) WITHOUT ROWID
"""
ENCODED = """
CREATE TABLE IF NOT EXISTS encoded (
    target TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, vectors BLOB NOT NULL, PRIMARY KEY (target, id)
)
"""


class Entry(NamedTuple):
    """State of one document: the digest of its text, metadata and contract, and its number of chunks."""

    digest: bytes
    chunks: int


class Journal:
    """A SQLite file (write-ahead log), shared by threads; rows are kept apart by `target`.

    Rows are written only after the store acknowledged every chunk. So a row is true after any kind of end, and a
    document without one is at worst written again, under the same ids. Vectors on their way to the store are kept here
    too, so that a run that is killed loses only what was being encoded.

    Raises:
        StoreError: the file cannot be read or written.
    """

    def __init__(self, file: Path, target: str) -> None:
        self.file, self.target = file, target
        self._lock = threading.Lock()
        with self._errors():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            try:
                for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", DOCUMENTS, ENCODED):
                    self._database.execute(statement)
            except sqlite3.Error:
                self._database.close()
                raise
        (last,) = self._one("SELECT coalesce(max(run), 0) FROM documents WHERE target = ?", self.target)
        self.run: int = last + 1
        """The number of this ingest: rows of it have been seen by it."""

    def get(self, document_id: str) -> Entry | None:
        row = self._one("SELECT digest, chunks FROM documents WHERE target = ? AND id = ?", self.target, document_id)
        return None if row is None else Entry(*row)

    def record(self, rows: Sequence[tuple[str, Entry]]) -> None:
        """Documents whose chunks are all stored; their vectors need no longer be kept. One transaction."""
        values = [(self.target, name, entry.digest, entry.chunks, self.run) for name, entry in rows]
        self._many(
            ("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)", values),
            ("DELETE FROM encoded WHERE target = ? AND id = ?", [(self.target, name) for name, _ in rows]),
        )

    def keep(self, rows: Sequence[tuple[str, bytes, bytes]]) -> None:
        """(id, digest, vectors) of documents that are encoded and not stored yet. One transaction."""
        self._many(("INSERT OR REPLACE INTO encoded VALUES (?, ?, ?, ?)", [(self.target, *row) for row in rows]))

    def kept(self, document_id: str, digest: bytes) -> bytes | None:
        """The vectors of a document that an earlier run encoded in this very form."""
        row = self._one(
            "SELECT vectors FROM encoded WHERE target = ? AND id = ? AND digest = ?", self.target, document_id, digest
        )
        return None if row is None else bytes(row[0])

    def keeps_any(self) -> bool:
        """Whether an earlier run left vectors behind."""
        return self._one("SELECT 1 FROM encoded WHERE target = ? LIMIT 1", self.target) is not None

    def forget_kept(self) -> None:
        """Vectors of documents that did not come by again."""
        self._many(("DELETE FROM encoded WHERE target = ?", [(self.target,)]))

    def seen(self, document_ids: Sequence[str]) -> None:
        """Unchanged documents that came by in this run."""
        values = [(self.run, self.target, name) for name in document_ids]
        self._many(("UPDATE documents SET run = ? WHERE target = ? AND id = ?", values))

    def unseen(self) -> Iterator[str]:
        """Documents of earlier runs that did not come by in this one, in order; they may be forgotten on the way."""
        last = ""
        while True:
            rows = self._all(
                "SELECT id FROM documents WHERE target = ? AND run < ? AND id > ? ORDER BY id LIMIT ?",
                self.target,
                self.run,
                last,
                LISTED_AT_ONCE,
            )
            if not rows:
                return
            for (last,) in rows:
                yield last

    def forget(self, document_ids: Iterable[str]) -> None:
        values = [(self.target, name) for name in document_ids]
        self._many(("DELETE FROM documents WHERE target = ? AND id = ?", values))

    def close(self) -> None:
        with self._lock, self._errors():
            self._database.close()

    def _one(self, statement: str, *values: object) -> Any:
        with self._lock, self._errors():
            return self._database.execute(statement, values).fetchone()

    def _all(self, statement: str, *values: object) -> list[tuple[str]]:
        with self._lock, self._errors():
            return self._database.execute(statement, values).fetchall()

    def _many(self, *steps: tuple[str, Sequence[tuple[object, ...]]]) -> None:
        """Statements with their rows of values, all or nothing."""
        with self._lock, self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in steps:
                    self._database.executemany(statement, values)
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"journal {self.file}: {error}; if it is damaged, delete it: the next ingest writes everything again, "
                "under the same ids"
            ) from error
