"""What a migration remembers: its settings, a list of the old collection's records, and changes made meanwhile.

It lies in the journal's SQLite file in the state folder, apart from the rows of ingests.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from ..errors import StoreError
from ..ingestion.journal_file import JournalFile, statements
from .spec import MigrationSpec

AT_ONCE = 1000
TABLES = """
CREATE TABLE IF NOT EXISTS migrations (
    name TEXT PRIMARY KEY, spec TEXT NOT NULL, stage TEXT NOT NULL, changed REAL NOT NULL,
    alias TEXT, previous TEXT, token TEXT NOT NULL, triggers INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS migration_records (
    migration TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL, number INTEGER, characters INTEGER,
    start INTEGER, stop INTEGER, PRIMARY KEY (migration, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS migration_documents ON migration_records (migration, document, number, start, key);
CREATE TABLE IF NOT EXISTS migration_changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, migration TEXT NOT NULL, document TEXT NOT NULL, writer TEXT
);
CREATE INDEX IF NOT EXISTS migration_changes_of ON migration_changes (migration, number);
"""
KEYS_OF = """
SELECT key FROM migration_records WHERE migration = ? AND document = ? ORDER BY number, start, key
"""
KEYS_BETWEEN = """
SELECT document, key FROM migration_records WHERE migration = ? AND document > ? AND document <= ?
ORDER BY document, number, start, key
"""
DOCUMENT_OF = "SELECT document FROM migration_records WHERE migration = ? AND key = ?"
ONE = "SELECT name, spec, stage, changed, alias, previous, token, triggers FROM migrations WHERE name = ?"
ALL = "SELECT name, spec, stage, changed, alias, previous, token, triggers FROM migrations ORDER BY changed DESC"
BEGIN = "INSERT INTO migrations (name, spec, stage, changed, token, triggers) VALUES (?, ?, ?, ?, ?, ?)"
PLANNED, RUNNING, COMPLETE = "planned", "running", "complete"
SWITCHED, ROLLED_BACK = "switched", "rolled back"


class RecordRow(NamedTuple):
    """One record of the old collection, without its text. `characters` is None where it has no text."""

    key: str
    document: str
    number: int | None
    characters: int | None
    start: int | None
    stop: int | None


class DocumentRows(NamedTuple):
    """A document's records, in order."""

    document: str
    keys: list[str]


class Change(NamedTuple):
    """A note that a document of the old collection is being changed. `writer` is None once it was."""

    number: int
    document: str
    writer: str | None


@dataclass(frozen=True)
class Progress:
    """How far a migration is."""

    name: str
    spec: MigrationSpec
    stage: str
    changed: float
    """Seconds since 1970 when the stage was reached."""
    alias: str | None
    """The name that was switched."""
    previous: str | None
    """The collection that `alias` named before."""
    token: str
    """Random: names what belongs to this migration in the old collection's store."""
    triggers: bool
    """Whether triggers were made in the old collection's store."""

    def continued(self, now: MigrationSpec) -> MigrationSpec:
        """The settings to go on with: those given now, and those that it was begun with for what is left out.

        Raises:
            StoreError: they contradict each other, and a run has begun to fill the new collection.
        """
        differences = self.spec.differences(now)
        if self.stage == PLANNED:  # nothing was written yet
            return now if self.spec.moves_other_than(now) else self.spec.continued(now)
        if differences:
            raise StoreError(
                f"migration {self.name!r} was begun with other settings:\n  "
                + "\n  ".join(differences)
                + "\nLeave these out to go on as it was begun, or take another name (--name) and another new "
                "collection (--into). Nothing was changed."
            )
        return self.spec.continued(now)


class Totals(NamedTuple):
    """What the list of records adds up to."""

    records: int
    documents: int
    characters: int
    without_text: int
    several: int
    """Documents of more than one record."""


class MigrationState:
    """The rows of one migration in a journal file."""

    def __init__(self, file: Path, name: str) -> None:
        """Open or make the file.

        Raises:
            StoreError: it cannot be read or written.
        """
        self.file, self.name = file, name
        self._database = JournalFile(file, _prepare)

    @property
    def lock_file(self) -> Path:
        """Locked by whoever runs this migration."""
        safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in self.name)
        return self.file.with_name(f"{self.file.name}.migration-{safe}.lock")

    def progress(self) -> Progress | None:
        """None where nothing was run yet."""
        row = self._database.one(ONE, self.name)
        return None if row is None else _progress(row)

    def begin(self, spec: MigrationSpec) -> None:
        """Note the settings of a run. What they leave out stays what it was.

        Raises:
            StoreError: the migration of this name was begun with other settings.
        """
        before = self.progress()
        if before is not None:
            spec = before.continued(spec)
            if before.stage != PLANNED:
                self._database.many(
                    ("UPDATE migrations SET spec = ? WHERE name = ?", [(json.dumps(asdict(spec)), self.name)])
                )
                return
        token, triggers = (before.token, before.triggers) if before else (uuid.uuid4().hex[:10], False)
        row = (self.name, json.dumps(asdict(spec)), PLANNED, time.time(), token, triggers)
        self._database.many(("DELETE FROM migrations WHERE name = ?", [(self.name,)]), (BEGIN, [row]))

    def reach(self, stage: str) -> None:
        """Note the stage that was reached. A switch stays one until `roll_back`."""
        self._database.many(
            (
                "UPDATE migrations SET stage = ?, changed = ? WHERE name = ? AND stage != ?",
                [(stage, time.time(), self.name, SWITCHED)],
            )
        )

    def roll_back(self) -> None:
        """The switched name stands for the old collection again."""
        self._database.many(
            (
                "UPDATE migrations SET stage = ?, changed = ? WHERE name = ?",
                [(ROLLED_BACK, time.time(), self.name)],
            )
        )

    def has_triggers(self) -> None:
        """Note that triggers are about to be made in the old collection's store."""
        self._database.many(("UPDATE migrations SET triggers = 1 WHERE name = ?", [(self.name,)]))

    def point(self, alias: str | None, previous: str | None) -> None:
        """Note which name is about to be switched, and what it named before."""
        self._database.many(
            ("UPDATE migrations SET alias = ?, previous = ? WHERE name = ?", [(alias, previous, self.name)])
        )

    def forget(self) -> None:
        """Remove everything that is known of this migration."""
        name = [(self.name,)]
        self._database.many(
            ("DELETE FROM migrations WHERE name = ?", name),
            ("DELETE FROM migration_records WHERE migration = ?", name),
            ("DELETE FROM migration_changes WHERE migration = ?", name),
        )

    def list_records(self, rows: Iterable[RecordRow]) -> None:
        """Replace the list of records."""
        self._database.many(("DELETE FROM migration_records WHERE migration = ?", [(self.name,)]))
        several = iter(rows)
        while page := list(islice(several, AT_ONCE)):
            self.put_records(page)

    def put_records(self, rows: Sequence[RecordRow]) -> None:
        """Add or replace records in the list."""
        self._database.many(
            ("INSERT OR REPLACE INTO migration_records VALUES (?, ?, ?, ?, ?, ?, ?)", [(self.name, *r) for r in rows])
        )

    def drop_records(self, keys: Iterable[str]) -> None:
        """Remove records from the list."""
        self._database.many(
            ("DELETE FROM migration_records WHERE migration = ? AND key = ?", [(self.name, key) for key in keys])
        )

    def totals(self) -> Totals:
        records, characters, without = self._database.one(
            "SELECT count(*), coalesce(sum(characters), 0), coalesce(sum(characters IS NULL), 0) "
            "FROM migration_records WHERE migration = ?",
            self.name,
        )
        documents, several = self._database.one(
            "SELECT count(*), coalesce(sum(parts > 1), 0) FROM (SELECT count(*) AS parts FROM migration_records "
            "WHERE migration = ? GROUP BY document)",
            self.name,
        )
        return Totals(records, documents, characters, without, several)

    def documents_without_text(self) -> set[str]:
        """Documents of which a record has no text, so that they cannot be moved."""
        rows = self._database.all(
            "SELECT DISTINCT document FROM migration_records WHERE migration = ? AND characters IS NULL", self.name
        )
        return {document for (document,) in rows}

    def without_text(self, limit: int) -> list[str]:
        """Keys of records that have no text."""
        rows = self._database.all(
            "SELECT key FROM migration_records WHERE migration = ? AND characters IS NULL ORDER BY key LIMIT ?",
            self.name,
            limit,
        )
        return [key for (key,) in rows]

    def documents(self) -> Iterator[DocumentRows]:
        """All documents of the list, in order of their ids. The list may change meanwhile."""
        last = ""
        while True:
            page = self._database.all(
                "SELECT DISTINCT document FROM migration_records WHERE migration = ? AND document > ? "
                "ORDER BY document LIMIT ?",
                self.name,
                last,
                AT_ONCE,
            )
            if not page:
                return
            first, last = last, page[-1][0]
            rows = self._database.all(KEYS_BETWEEN, self.name, first, last)
            for document, keys in groupby(rows, itemgetter(0)):
                yield DocumentRows(document, [key for _, key in keys])

    def keys_of(self, documents: Sequence[str]) -> list[DocumentRows]:
        """The records of some documents. Unknown documents have none."""
        return [
            DocumentRows(document, [key for (key,) in self._database.all(KEYS_OF, self.name, document)])
            for document in documents
        ]

    def documents_of(self, keys: Sequence[str]) -> dict[str, str]:
        """The document that each listed record belongs to."""
        rows = ((key, self._database.one(DOCUMENT_OF, self.name, key)) for key in keys)
        return {key: row[0] for key, row in rows if row is not None}

    def note(self, documents: Iterable[str], writer: str) -> None:
        """Note that documents are about to be changed in the old collection. `writer` names the call that does it."""
        self._database.many(
            (
                "INSERT INTO migration_changes (migration, document, writer) VALUES (?, ?, ?)",
                [(self.name, document, writer) for document in documents],
            )
        )

    def settle_writer(self, writer: str) -> None:
        """The changes of this writer are made, or never will be: from now on, reading the documents shows them."""
        self._database.many(
            ("UPDATE migration_changes SET writer = NULL WHERE migration = ? AND writer = ?", [(self.name, writer)])
        )

    def changes(self, limit: int = AT_ONCE) -> list[Change]:
        """Notes that wait: settled ones first, and oldest first."""
        return [
            Change(*row)
            for row in self._database.all(
                "SELECT number, document, writer FROM migration_changes WHERE migration = ? "
                "ORDER BY writer IS NOT NULL, number LIMIT ?",
                self.name,
                limit,
            )
        ]

    def count_changes(self) -> int:
        """Notes that wait."""
        (count,) = self._database.one("SELECT count(*) FROM migration_changes WHERE migration = ?", self.name)
        return int(count)

    def drop_changes(self, numbers: Iterable[int]) -> None:
        """The changes are in the new collection too."""
        self._database.many(("DELETE FROM migration_changes WHERE number = ?", [(number,) for number in numbers]))

    def close(self) -> None:
        self._database.close()


def known_migrations(file: Path) -> list[Progress]:
    """All migrations of a journal file, the latest first. Makes no file."""
    if not file.is_file():
        return []
    database = JournalFile(file, _prepare)
    try:
        rows = database.all(ALL)
        return [_progress(row) for row in rows]
    finally:
        database.close()


def find_migration(file: Path, name: str) -> Progress | None:
    """The migration of this name in a journal file. Makes no file.

    Raises:
        StoreError: another version of this project wrote it.
    """
    if not file.is_file():
        return None
    database = JournalFile(file, _prepare)
    try:
        row = database.one(ONE, name)
        return None if row is None else _progress(row)
    finally:
        database.close()


def _prepare(database: sqlite3.Connection) -> None:
    for statement in statements(TABLES):
        database.execute(statement)


def _progress(row: Sequence[object]) -> Progress:
    name, spec, stage, changed, alias, previous, token, triggers = row
    try:
        return Progress(
            str(name),
            MigrationSpec.from_dict(json.loads(str(spec))),
            str(stage),
            float(str(changed)),
            None if alias is None else str(alias),
            None if previous is None else str(previous),
            str(token),
            bool(triggers),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise StoreError(
            f"migration {name!r} was begun with another version of jina-v3-connectors, which this one cannot read: "
            f"{error}"
        ) from error
