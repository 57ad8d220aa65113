"""The first pass over an old collection: which records there are, and what is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from jina_v3_encoder.retry import DEFAULT_RETRY, RetryPolicy

from ..errors import DocumentError, StoreError
from .rebuild import Rebuilt, document_id_of, rebuild
from .records import Record, Source
from .state import DocumentRows, MigrationState, RecordRow, Totals

READ_AT_ONCE = 500
"""Records of a page. The texts of two pages are in memory at a time."""
ONE_TRY = RetryPolicy(total=0.0)
"""In a thread, which Ctrl-C does not reach. The caller's own is patient with a busy store."""


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

    While the documents of a page are used, a thread reads the next page. A document whose records were all deleted
    since they were listed is left out.
    """

    def read(page: list[DocumentRows], retry: RetryPolicy = DEFAULT_RETRY) -> list[Rebuilt | DocumentError]:
        asked = [key for _, keys in page for key in keys]
        records = {record.key: record for record in source.read(asked, retry=retry)}
        found = ([records[key] for key in keys if key in records] for _, keys in page)
        return [_rebuilt(there, keep_cuts=keep_cuts, keep_ids=keep_ids) for there in found if there]

    def finished(
        page: list[DocumentRows], coming: Future[list[Rebuilt | DocumentError]]
    ) -> list[Rebuilt | DocumentError]:
        try:
            return coming.result()
        except StoreError:
            return read(page)

    with ThreadPoolExecutor(1, "jina-v3-reader") as thread:
        pages: deque[tuple[list[DocumentRows], Future[list[Rebuilt | DocumentError]]]] = deque()
        while page := _page(rows):
            pages.append((page, thread.submit(read, page, ONE_TRY)))
            if len(pages) > 1:
                yield from finished(*pages.popleft())
        while pages:
            yield from finished(*pages.popleft())


def _rebuilt(records: list[Record], *, keep_cuts: bool, keep_ids: bool) -> Rebuilt | DocumentError:
    try:
        return rebuild(records, keep_cuts=keep_cuts, keep_ids=keep_ids)
    except DocumentError as error:
        return error


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
