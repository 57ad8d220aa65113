"""The journal: which documents a collection holds, so that a rerun does only the rest.

A row's digest says in which form a document is stored whole. Before any chunk of a document is written or deleted, the
digest is removed: the row is "open". When the store has acknowledged everything, the digest is set again. So a digest
is true, however a run ends. An open row says only how many chunks of the document there may be at most.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from ..errors import StoreError
from .journal_file import JournalFile, statements

LISTED_AT_ONCE = 1000
UNKNOWN_CHUNKS = 2**31 - 1
"""Stands for the number of chunks of a document that somebody else may have written."""
FORM = 2
"""The version of the file's tables, kept as its `user_version`. Form 1 wrote a row only after the store
acknowledged."""
TABLES = """
CREATE TABLE IF NOT EXISTS documents (
    target TEXT NOT NULL, id TEXT NOT NULL, digest BLOB, chunks INTEGER NOT NULL, PRIMARY KEY (target, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS encoded (
    target TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, vectors BLOB NOT NULL, PRIMARY KEY (target, id)
);
CREATE TABLE IF NOT EXISTS collections (
    target TEXT PRIMARY KEY, generation INTEGER NOT NULL DEFAULT 0,
    whole INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 0, unknown INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL);
INSERT INTO identity SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM identity);
CREATE TRIGGER IF NOT EXISTS inserted AFTER INSERT ON documents BEGIN
    UPDATE collections SET whole = whole + iif(NEW.digest IS NULL, 0, NEW.chunks),
        open = open + iif(NEW.digest IS NULL, NEW.chunks, 0) WHERE target = NEW.target;
END;
CREATE TRIGGER IF NOT EXISTS deleted AFTER DELETE ON documents BEGIN
    UPDATE collections SET whole = whole - iif(OLD.digest IS NULL, 0, OLD.chunks),
        open = open - iif(OLD.digest IS NULL, OLD.chunks, 0) WHERE target = OLD.target;
END;
CREATE TRIGGER IF NOT EXISTS updated AFTER UPDATE ON documents BEGIN
    UPDATE collections SET
        whole = whole + iif(NEW.digest IS NULL, 0, NEW.chunks) - iif(OLD.digest IS NULL, 0, OLD.chunks),
        open = open + iif(NEW.digest IS NULL, NEW.chunks, 0) - iif(OLD.digest IS NULL, OLD.chunks, 0)
        WHERE target = NEW.target;
END;
"""
NOTES = """
CREATE TEMP TABLE present (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE held (id TEXT PRIMARY KEY, chunks INTEGER NOT NULL, past INTEGER NOT NULL) WITHOUT ROWID;
"""
ASIDE = "ALTER TABLE documents RENAME TO documents_1;"
FROM_FORM_1 = """
INSERT OR IGNORE INTO collections (target) SELECT DISTINCT target FROM documents_1;
INSERT INTO documents SELECT target, id, digest, chunks FROM documents_1;
DROP TABLE documents_1;
DELETE FROM encoded;
"""
OPEN = """
INSERT INTO documents VALUES (?, ?, NULL, ?)
ON CONFLICT DO UPDATE SET digest = NULL, chunks = max(chunks, excluded.chunks)
"""
WHOLE = """
INSERT INTO documents VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET digest = excluded.digest, chunks = excluded.chunks
"""
HOLD = """
INSERT INTO held VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET chunks = chunks + 1, past = max(past, excluded.past)
"""
OPEN_DIFFERING = """
UPDATE documents SET digest = NULL WHERE target = ? AND digest IS NOT NULL AND chunks !=
    coalesce((SELECT iif(held.chunks = past, past, -1) FROM held WHERE held.id = documents.id), 0)
"""
RAISE_OPEN = """
UPDATE documents SET chunks = past FROM held
WHERE held.id = documents.id AND target = ? AND digest IS NULL AND documents.chunks < past
"""
UNKNOWN_HELD = "FROM held WHERE NOT EXISTS (SELECT 1 FROM documents WHERE target = ? AND documents.id = held.id)"


class Entry(NamedTuple):
    """One document: the digest of its text, metadata and contract, None while it is open, and its number of chunks."""

    digest: bytes | None
    chunks: int


class Expected(NamedTuple):
    """Chunks that the collection should hold."""

    whole: int
    """Chunks of documents that are stored whole."""
    open: int
    """Chunks of open documents. Any number of these may be stored, from none to all."""
    unknown: int
    """Chunks of documents without a row, counted when the store was last listed."""


class Difference(NamedTuple):
    """How a listing of the store differs from the journal."""

    opened: int
    """Documents that the journal had as whole, while the store has another number of their chunks."""
    unknown: int
    """Documents of the store that the journal does not know."""


class Journal:
    """A SQLite file (write-ahead log), shared by threads; rows are kept apart by `target`.

    Vectors on their way to the store are kept here too, so that a run that is killed loses only what was being
    encoded. Each method that writes is one transaction, on the disk when it returns.

    Raises:
        StoreError: the file cannot be read or written.
    """

    def __init__(self, file: Path, target: str) -> None:
        self.file, self.target = file, target
        self._database = JournalFile(file, partial(_prepare, file=file, target=target))
        self._database.script(NOTES)
        (self.id,) = self._database.one("SELECT id FROM identity")

    def get(self, document_id: str) -> Entry | None:
        row = self._database.one(
            "SELECT digest, chunks FROM documents WHERE target = ? AND id = ?", self.target, document_id
        )
        return None if row is None else Entry(*row)

    def expected(self) -> Expected:
        return Expected(
            *self._database.one("SELECT whole, open, unknown FROM collections WHERE target = ?", self.target)
        )

    def whole(self, stored: Iterable[tuple[str, int]]) -> dict[str, int]:
        """The chunks of each document whose row is whole, where as many are stored. `stored` is as for `compare`.

        Changes nothing.
        """
        counts = Counter(document for document, _ in stored)
        entries = ((document, self.get(document)) for document in counts)
        return {
            document: entry.chunks
            for document, entry in entries
            if entry is not None and entry.digest is not None and entry.chunks == counts[document]
        }

    def open_known(self, document_ids: Iterable[str]) -> None:
        """Open the rows of documents that will be deleted. Documents without a row get none."""
        values = [(self.target, name) for name in document_ids]
        self._database.many(("UPDATE documents SET digest = NULL WHERE target = ? AND id = ?", values))

    def open_encoded(self, rows: Sequence[tuple[str, int, bytes, bytes]]) -> None:
        """Open the rows of documents that will be written, and keep their vectors.

        `rows` are (id, chunks, digest, vectors) of each.

        `chunks` is how many chunks there may be if the write is stopped halfway.
        """
        self._database.many(
            (OPEN, [(self.target, name, chunks) for name, chunks, _, _ in rows]),
            (
                "INSERT OR REPLACE INTO encoded VALUES (?, ?, ?, ?)",
                [(self.target, name, digest, vectors) for name, _, digest, vectors in rows],
            ),
        )

    def record(self, rows: Sequence[tuple[str, Entry]]) -> None:
        """Close the rows of documents that are stored whole, without old chunks. Drop their vectors."""
        self._database.many(
            (WHOLE, [(self.target, name, *entry) for name, entry in rows]),
            ("DELETE FROM encoded WHERE target = ? AND id = ?", [(self.target, name) for name, _ in rows]),
        )

    def forget(self, document_ids: Iterable[str]) -> None:
        """Remove documents that are no longer stored, and their vectors."""
        values = [(self.target, name) for name in document_ids]
        self._database.many(
            ("DELETE FROM documents WHERE target = ? AND id = ?", values),
            ("DELETE FROM encoded WHERE target = ? AND id = ?", values),
        )

    def kept(self, document_id: str, digest: bytes) -> bytes | None:
        """The vectors of a document, if an earlier run encoded it in exactly this form."""
        row = self._database.one(
            "SELECT vectors FROM encoded WHERE target = ? AND id = ? AND digest = ?", self.target, document_id, digest
        )
        return None if row is None else bytes(row[0])

    def keeps_any(self) -> bool:
        """Whether an earlier run left vectors here."""
        return self._database.one("SELECT 1 FROM encoded WHERE target = ? LIMIT 1", self.target) is not None

    def forget_kept(self) -> None:
        """Drop all kept vectors. At the end of a run, they belong to documents that were not in it."""
        self._database.many(("DELETE FROM encoded WHERE target = ?", [(self.target,)]))

    def mark_as_present(self, document_id: str) -> bool:
        """Remember, for this connection only, that a document is in this run. False if it was remembered already."""
        return self._database.change("INSERT OR IGNORE INTO present VALUES (?)", document_id) > 0

    def absent(self) -> Iterator[str]:
        """Documents that are not in this run, in order. The caller may forget them meanwhile."""
        last = ""
        while True:
            rows = self._database.all(
                "SELECT id FROM documents WHERE target = ? AND id > ? AND id NOT IN present ORDER BY id LIMIT ?",
                self.target,
                last,
                LISTED_AT_ONCE,
            )
            if not rows:
                return
            for (last,) in rows:
                yield last

    def compare(self, stored: Iterable[tuple[str, int]], *, take_over: bool = False) -> Difference:
        """Open the rows that the store contradicts. `stored` is (document id, number) of each of its chunks.

        Unknown documents are counted, or become open rows with `take_over`, so that they can be replaced and pruned.
        """
        self._database.many(("DELETE FROM held", [()]))
        chunks = iter(stored)
        while page := list(islice(chunks, LISTED_AT_ONCE)):
            self._database.many((HOLD, [(name, number + 1) for name, number in page]))
        documents, unknown = self._database.one(
            f"SELECT count(*), coalesce(sum(chunks), 0) {UNKNOWN_HELD}", self.target
        )
        known = f"INSERT INTO documents SELECT ?, id, NULL, {UNKNOWN_CHUNKS} {UNKNOWN_HELD}"
        opened, *_ = self._database.many(
            (OPEN_DIFFERING, [(self.target,)]),
            (RAISE_OPEN, [(self.target,)]),
            (known, [(self.target, self.target)] if take_over else []),
            ("UPDATE collections SET unknown = ? WHERE target = ?", [(0 if take_over else unknown, self.target)]),
        )
        return Difference(opened, documents)

    def open_all(self) -> None:
        """Open all rows. Each document may have any number of chunks."""
        self._database.many(
            ("UPDATE documents SET digest = NULL, chunks = ? WHERE target = ?", [(UNKNOWN_CHUNKS, self.target)])
        )

    def next_generation(self) -> int:
        """Count this ingest. Returns how many the collection has had."""
        self._database.many(("UPDATE collections SET generation = generation + 1 WHERE target = ?", [(self.target,)]))
        return self.generation

    @property
    def generation(self) -> int:
        (generation,) = self._database.one("SELECT generation FROM collections WHERE target = ?", self.target)
        return int(generation)

    def close(self) -> None:
        self._database.close()


@contextmanager
def locked_journal(file: Path, target: str, collection: str, patience: float) -> Iterator[Journal]:
    """The journal of a target, locked: with two ingests or deletes at a time, one could close the other's rows.

    Raises:
        StoreError: another one has held the lock for longer than `patience` seconds.
    """
    journal = Journal(file, target)
    try:
        name = f"{journal.file.name}.{hashlib.blake2b(target.encode(), digest_size=8).hexdigest()}.lock"
        with FileLock(journal.file.with_name(name), timeout=patience):
            yield journal
    except Timeout:
        raise StoreError(
            f"collection {collection!r}: another ingest on this machine has been writing it for over {patience:.0f} s; "
            "wait for it to end, then run this again"
        ) from None
    finally:
        journal.close()


def _prepare(database: sqlite3.Connection, file: Path, target: str) -> None:
    """Make or renew the tables, and the target's row. The caller has begun a transaction."""
    (form,) = database.execute("PRAGMA user_version").fetchone()
    if form > FORM:
        raise StoreError(f"journal {file} is of form {form}, this version of jina-v3-connectors reads {FORM} at most")
    has_documents = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'documents'").fetchone()
    script = f"{ASIDE}{TABLES}{FROM_FORM_1}" if has_documents and form < FORM else TABLES
    for statement in statements(f"{script}PRAGMA user_version = {FORM};"):
        database.execute(statement)
    database.execute("INSERT OR IGNORE INTO collections (target) VALUES (?)", (target,))
