"""The first pass over an old collection: which records there are, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from ..errors import DocumentError
from .rebuild import Rebuilt, document_id_of, rebuild
from .records import Record, Source
from .state import DocumentRows, MigrationState, RecordRow, Totals

READ_AT_ONCE = 500
"""Records whose texts are in memory at a time."""


def survey(source: Source, state: MigrationState, on_progress: Callable[[int], None] = lambda _: None) -> Totals:
    """List all records of the old collection in `state`. `on_progress` gets the number of records so far."""

    def rows() -> Iterator[RecordRow]:
        for number, record in enumerate(source.records(vectors=False), 1):
            if number % READ_AT_ONCE == 0:
                on_progress(number)
            yield row_of(record)

    state.list_records(rows())
    totals = state.totals()
    on_progress(totals.records)
    return totals


def row_of(record: Record) -> RecordRow:
    """What the list keeps of a record."""
    has_text = record.text is not None and bool(record.text.strip())
    return RecordRow(
        _storable(record.key),
        _storable(document_id_of(record)),
        record.order,
        len(record.text or "") if has_text else None,
        record.start,
        record.end,
    )


def rebuilt_documents(
    source: Source, rows: Iterator[DocumentRows], *, keep_cuts: bool, keep_ids: bool
) -> Iterator[Rebuilt | DocumentError]:
    """The documents of the list, read now. An error stands for one that cannot be rebuilt.

    A document whose records were all deleted since they were listed is left out.
    """
    while page := _page(rows):
        records = {record.key: record for record in source.read([key for _, keys in page for key in keys])}
        for _, keys in page:
            still_there = [records[key] for key in keys if key in records]
            if not still_there:
                continue
            try:
                yield rebuild(still_there, keep_cuts=keep_cuts, keep_ids=keep_ids)
            except DocumentError as error:
                yield error


def _page(rows: Iterator[DocumentRows]) -> list[DocumentRows]:
    """Some documents, of about `READ_AT_ONCE` records."""
    page: list[DocumentRows] = []
    size = 0
    for row in islice(rows, READ_AT_ONCE):
        page.append(row)
        size += len(row.keys)
        if size >= READ_AT_ONCE:
            break
    return page


def _storable(text: str) -> str:
    """A lone surrogate can be kept nowhere. Its record is then not found again, and counts as missing."""
    return text.encode("utf-8", "replace").decode("utf-8")
