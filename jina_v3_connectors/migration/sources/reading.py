"""`Reader`, what a backend does for a migration, and `CollectionSource`, which makes a `Source` of any reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Protocol

import numpy as np

from jina_v3_encoder.errors import Busy, InvalidInput
from jina_v3_encoder.retry import DEFAULT_RETRY, SHORT_RETRY, RetryPolicy, with_retries
from jina_v3_encoder.vectors import FloatArray

from ...contract import EmbeddingContract
from ...errors import StoreError
from ..records import FieldNames, Record
from .layouts import recognised

SAMPLED = 50
"""Records in which the layout is recognised."""
PAGE = 256
"""Records of one request. With 64 KiB of text and metadata each, they are still less than any server's limit."""


@dataclass(frozen=True)
class Row:
    """A record as it lies in its store."""

    key: str
    fields: Mapping[str, Any]
    vector: FloatArray | None = None


class Reader(Protocol):
    """One collection in one backend, read only. Calls raise StoreError, or StoreBusy if they may succeed later."""

    @property
    def title(self) -> str:
        """The collection, for errors."""

    @property
    def contract(self) -> EmbeddingContract | None:
        """What the collection says of itself, if this project made it."""

    @property
    def dimensions(self) -> int | None:
        """Components of the vector that is read. None where there is none."""

    def pages(self, after: str | None, *, vectors: bool) -> Iterator[Sequence[Row]]:
        """The rows behind the key `after`, in an order that stays, `PAGE` or fewer at a time, never none."""

    def rows(self, keys: Sequence[str], *, vectors: bool) -> list[Row]:
        """The rows with these keys, in any order."""

    def count(self) -> int: ...

    def close(self) -> None: ...


class CollectionSource:
    """A `Source` over a reader. Opening reads a few records, to see whose they are."""

    def __init__(self, reader: Reader, names: FieldNames) -> None:
        """Raises StoreError or InvalidInput if the fields are not known, see `layouts.recognised`."""
        self._reader = reader
        first = next(self._pages(None, SHORT_RETRY, vectors=False), ())[:SAMPLED]
        sample = [(row.key, row.fields) for row in first]
        self._recognised = recognised(sample, names, reader.title, ours=reader.contract is not None)

    @property
    def description(self) -> str:
        return self._recognised.layout.name

    @property
    def contract(self) -> EmbeddingContract | None:
        return self._reader.contract

    @property
    def dimensions(self) -> int | None:
        return self._reader.dimensions

    def records(self, *, vectors: bool, after: str | None = None) -> Iterator[Record]:
        for rows in self._pages(after, DEFAULT_RETRY, vectors=vectors):
            yield from map(self._record, rows)

    def read(self, keys: Sequence[str], *, vectors: bool = False) -> list[Record]:
        rows: dict[str, Row] = {}
        remaining = iter(dict.fromkeys(keys))
        while part := list(islice(remaining, PAGE)):
            for row in with_retries(partial(self._reader.rows, part, vectors=vectors), DEFAULT_RETRY):
                rows[row.key] = row
        return [self._record(rows[key]) for key in keys if key in rows]

    def count(self) -> int:
        return with_retries(self._reader.count, SHORT_RETRY)

    def close(self) -> None:
        self._reader.close()

    def _pages(self, after: str | None, retry: RetryPolicy, *, vectors: bool) -> Iterator[Sequence[Row]]:
        """The reader's pages. After an error that may pass, reading goes on behind the last row."""
        pages: Iterator[Sequence[Row]] | None = None

        def advance() -> Sequence[Row]:
            nonlocal pages
            pages = pages or self._reader.pages(after, vectors=vectors)
            try:
                return next(pages, ())
            except Busy:
                pages = None
                raise

        while rows := with_retries(advance, retry):
            yield rows
            after = rows[-1].key

    def _record(self, row: Row) -> Record:
        record = self._recognised.record(row.key, row.fields)
        return record if row.vector is None else replace(record, vector=row.vector)


def chosen_vector(sizes: Mapping[str, int], wanted: str | None, usual: Sequence[str], where: str) -> str | None:
    """The name of the vector to read, among (name, size) of a collection's dense vectors. None where it has none.

    Raises:
        InvalidInput: there is no vector of the name that is wanted.
        StoreError: there are several, and none has a usual name.
    """
    names = ", ".join(map(repr, sizes)) or "none"
    if wanted is not None:
        if wanted not in sizes:
            raise InvalidInput(f"{where}: there is no vector {wanted!r}; its vectors are: {names}")
        return wanted
    if len(sizes) < 2:
        return next(iter(sizes), None)
    usual_name = next((name for name in usual if name in sizes), None)
    if usual_name is None:
        raise StoreError(f"{where} has several vectors: {names}; say with --vector-field which one to read")
    return usual_name


def as_vector(values: Any) -> FloatArray | None:
    """Numbers as float32. None where there are none."""
    return None if values is None or not len(values) else np.asarray(values, dtype=np.float32)
