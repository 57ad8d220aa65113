"""The SQLite file that journals and migrations share: write-ahead log, one transaction for each call, clear errors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import StoreError

PRIMARY_CODE = 0xFF
"""The part of an extended SQLite error code that says what kind it is."""
Step = tuple[str, Sequence[tuple[object, ...]]]
"""A statement, and a row of values for each time it runs."""


class JournalFile:
    """An open file, shared by threads. What a call wrote is on the disk when it returns.

    Raises:
        StoreError: the file cannot be read or written.
    """

    def __init__(self, file: Path, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """`prepare` makes the tables, inside a transaction."""
        self.file = file
        self._lock = threading.Lock()
        with self._errors():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, timeout=60, check_same_thread=False, isolation_level=None)
            try:
                for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
                    self._database.execute(statement)
                with self._transaction("BEGIN IMMEDIATE"):
                    prepare(self._database)
            except BaseException:
                self._database.close()
                raise

    def one(self, statement: str, *values: object) -> Any:
        """The first row of the answer, None where there is none."""
        with self._lock, self._errors():
            return self._database.execute(statement, values).fetchone()

    def all(self, statement: str, *values: object) -> list[Any]:
        """All rows of the answer."""
        with self._lock, self._errors():
            return self._database.execute(statement, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        """Run one statement, a transaction by itself. Returns how many rows it changed."""
        with self._lock, self._errors():
            return self._database.execute(statement, values).rowcount

    def many(self, *steps: Step) -> list[int]:
        """Run statements with their rows of values, all or none. Returns how many rows each changed."""
        with self._lock, self._errors(), self._transaction("BEGIN"):
            return [self._database.executemany(statement, values).rowcount for statement, values in steps]

    def script(self, text: str) -> None:
        """Run statements outside a transaction, for temporary tables."""
        with self._lock, self._errors():
            self._database.executescript(text)

    def close(self) -> None:
        with self._lock, self._errors():
            self._database.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._database.execute(begin)
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
            if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                raise StoreError(f"journal {self.file} cannot be written: {error}") from error
            if code == sqlite3.SQLITE_FULL:
                raise StoreError(
                    f"journal {self.file}: its disk is full: free some space and run the same again"
                ) from error
            raise StoreError(
                f"journal {self.file}: {error}; if it is damaged, delete it and ingest with take_over=True "
                "(--take-over): everything is written again, under the same ids"
            ) from error


def statements(script: str) -> Iterator[str]:
    """The statements of a script, which `executescript` would not run inside a transaction."""
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""
