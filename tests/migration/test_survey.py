"""Pages of the old collection are read ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.migration.rebuild import Rebuilt
from jina_v3_connectors.migration.records import Record
from jina_v3_connectors.migration.state import DocumentRows
from jina_v3_connectors.migration.survey import READ_AT_ONCE, rebuilt_documents
from jina_v3_encoder.retry import DEFAULT_RETRY, RetryPolicy

from .memory import MemorySource

PAGES = 3
RECORDS = [Record(f"k{number:05}", f"Text {number}.") for number in range(PAGES * READ_AT_ONCE)]
ROWS = [DocumentRows(record.key, [record.key]) for record in RECORDS]
READER = "jina-v3-reader_0"


class Watched(MemorySource):
    """Notes who reads each page, and does first what a test wants."""

    def __init__(self, before: Callable[[int, str], None] = lambda *_: None) -> None:
        super().__init__(RECORDS)
        self.readers: list[str] = []
        self._before = before

    def read(self, keys: Sequence[str], *, vectors: bool = False, retry: RetryPolicy = DEFAULT_RETRY) -> list[Record]:
        reader = threading.current_thread().name
        self.readers.append(reader)
        self._before(int(keys[0][1:]) // READ_AT_ONCE, reader)
        return super().read(keys, vectors=vectors)


def texts(source: Watched) -> list[str]:
    documents = rebuilt_documents(source, iter(ROWS), keep_cuts=True, keep_ids=False)
    return [rebuilt.document.text for rebuilt in documents if isinstance(rebuilt, Rebuilt)]


def test_the_next_page_is_read_while_documents_of_one_are_used() -> None:
    reading = threading.Event()
    source = Watched(lambda page, _: reading.set() if page == 1 else None)
    documents = rebuilt_documents(source, iter(ROWS), keep_cuts=True, keep_ids=False)
    next(documents)
    assert reading.wait(10), "taking turns, it would be read after the last document of the first page"
    rest = [rebuilt.document.text for rebuilt in documents if isinstance(rebuilt, Rebuilt)]
    assert rest == [record.text for record in RECORDS[1:]]
    assert set(source.readers) == {READER}
    assert [thread.name for thread in threading.enumerate() if thread.name == READER] == []


def test_a_store_that_is_busy_is_asked_again_in_the_callers_thread() -> None:
    """There, Ctrl-C ends the waiting."""

    def busy(page: int, reader: str) -> None:
        if page == 1 and reader == READER:
            raise StoreError("busy")

    source = Watched(busy)
    assert texts(source) == [record.text for record in RECORDS]
    assert [reader for reader in source.readers if reader != READER] == [threading.current_thread().name]


def test_a_store_that_refuses_is_heard() -> None:
    def refuses(page: int, _: str) -> None:
        if page == 2:
            raise StoreError("it is gone")

    with pytest.raises(StoreError, match="it is gone"):
        texts(Watched(refuses))


def test_the_thread_ends_with_the_documents_that_nobody_wants_any_more() -> None:
    documents = rebuilt_documents(Watched(), iter(ROWS), keep_cuts=True, keep_ids=False)
    next(documents)
    documents.close()  # type: ignore[attr-defined]  # a generator
    assert [thread.name for thread in threading.enumerate() if thread.name == READER] == []
