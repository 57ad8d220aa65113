"""Exports: a file with one JSON object a line, as Chroma's, llm's and other collections are written out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jina_v3_encoder.vectors import FloatArray

from ...errors import DocumentError, StoreError, StoreNotFound
from ...files.json_lines import parse_line
from .reading import PAGE, Row, chosen_vector

KEYS = ("id", "_id", "key", "pk")
USUAL = ("embedding", "vector", "values", "dense")


class Line(NamedTuple):
    """Where a record stands: bytes before it, and the number of its line."""

    offset: int
    number: int


class JsonlReader:
    """A file, in the order of its lines. A line without an id has its number as its key."""

    contract = None

    def __init__(self, path: Path, vector: str | None) -> None:
        """Raises StoreError: there is no such file, or its first line is no JSON object."""
        self.title, self._path = str(path), path
        if not path.is_file():
            raise StoreNotFound(f"{path} is no file")
        self._vector: str | None = None
        first = next((row.fields for row in self._rows(vectors=False)), {})
        sizes = {name: len(values) for name, value in first.items() if (values := _numbers(value)) is not None}
        self._vector = chosen_vector(sizes, vector, USUAL, self.title)
        self.dimensions = None if self._vector is None else sizes[self._vector]

    def pages(self, after: str | None, *, vectors: bool) -> Iterator[Sequence[Row]]:
        """`after` must be in the file."""
        rows: list[Row] = []
        for row in self._rows(vectors):
            if after is not None:
                after = None if row.key == after else after
                continue
            rows.append(row)
            if len(rows) == PAGE:
                yield rows
                rows = []
        if after is not None:
            raise StoreError(f"{self.title} has no line with the id {after!r}, behind which reading would go on")
        if rows:
            yield rows

    def rows(self, keys: Sequence[str], *, vectors: bool) -> list[Row]:
        rows = []
        with self._errors(), self._path.open("rb") as file:
            for line in sorted(self._lines[key] for key in keys if key in self._lines):
                file.seek(line.offset)
                rows.append(self._row(file.readline(), line.number, vectors=vectors))
        return rows

    def count(self) -> int:
        return len(self._lines)

    def close(self) -> None:
        """Nothing stays open."""

    @cached_property
    def _lines(self) -> dict[str, Line]:
        """Where each record stands, by its key, so that reading some of them reads no others.

        Raises:
            StoreError: two lines have the same key, or a line is no JSON object.
        """
        lines: dict[str, Line] = {}
        offset = 0
        with self._errors(), self._path.open("rb") as file:
            for number, content in enumerate(file, 1):
                if content.strip():
                    key = self._row(content, number, vectors=False).key
                    if key in lines:
                        raise StoreError(
                            f"{self.title}: lines {lines[key].number} and {number} have the same id {key!r}, so one of "
                            "them would be lost: give each line an id of its own"
                        )
                    lines[key] = Line(offset, number)
                offset += len(content)
        return lines

    def _rows(self, vectors: bool) -> Iterator[Row]:
        with self._errors(), self._path.open("rb") as file:
            for number, content in enumerate(file, 1):
                if content.strip():
                    yield self._row(content, number, vectors=vectors)

    def _row(self, content: bytes, number: int, *, vectors: bool) -> Row:
        """A line. Without an id it has its number as its key."""
        values = parse_line(content, f"{self.title}, line {number}")
        key = next((values[name] for name in KEYS if isinstance(values.get(name), str | int)), number)
        fields = {name: value for name, value in values.items() if name != self._vector}
        return Row(str(key), fields, _numbers(values.get(str(self._vector))) if vectors else None)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DocumentError as error:
            raise StoreError(str(error)) from error
        except OSError as error:
            raise StoreError(f"{self.title} cannot be read: {error.strerror}") from error


def _numbers(value: object) -> FloatArray | None:
    """A vector: a list of numbers, or float32 in base64, as sqlite-utils writes the bytes that llm keeps."""
    if isinstance(value, Mapping) and value.get("$base64") is True and isinstance(value.get("encoded"), str):
        try:
            content = base64.b64decode(value["encoded"], validate=True)
        except binascii.Error:
            return None
        return np.frombuffer(content, dtype="<f4").astype(np.float32) if content and len(content) % 4 == 0 else None
    if isinstance(value, list) and value and all(type(number) in (int, float) for number in value):
        return np.asarray(value, dtype=np.float32)
    return None
