"""Answers that are known from before, so that nobody pays twice for the same window. It holds numbers, and no text."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from jina_v3_encoder.state import state_folder

FILE = "llm-chunks.sqlite"
TABLE = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
WAIT_SECONDS = 30.0


class AnswerCache:
    """A file in the state folder. Threads and processes may share it."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or state_folder() / FILE
        self._lock = threading.Lock()

    @staticmethod
    def key(*parts: str) -> bytes:
        """The key of everything that decides an answer."""
        digest = hashlib.blake2b(digest_size=16)
        for part in parts:
            content = part.encode()
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
        return digest.digest()

    def get(self, key: bytes) -> str | None:
        """The answer, None if it is not known. Reading makes no file."""
        if not self._file.exists():
            return None
        with self._lock, closing(self._connection()) as connection:
            try:
                row = connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
            except sqlite3.OperationalError:  # no table yet
                return None
        return None if row is None else str(row[0])

    def put(self, key: bytes, answer: str) -> None:
        """Keep an answer."""
        with self._lock:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(self._connection()) as connection, connection:
                connection.execute(TABLE)
                connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, answer))

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=WAIT_SECONDS)
