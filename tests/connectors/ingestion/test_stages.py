"""Each stage alone: what it makes of a document, and that counting and refusing happen in one place."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from jina_v3_connectors.documents import Document
from jina_v3_connectors.errors import AnotherWriter, DocumentError
from jina_v3_connectors.ingestion.chunked import BATCH_CHARACTERS, ChunkedDocument, EncodedDocument
from jina_v3_connectors.ingestion.encoding import Encoding
from jina_v3_connectors.ingestion.journal import Entry, Journal
from jina_v3_connectors.ingestion.preparation import AHEAD, Preparation, Refused, Unchanged
from jina_v3_connectors.ingestion.report import IngestReport, Tally
from jina_v3_connectors.ingestion.writing import Writing
from jina_v3_connectors.store import Stored
from jina_v3_encoder.testing import FakeEncoder

from .test_ingestion import AT_ONCE, CONTRACT, LAYOUT, Sentences, Shelf

STORED = Stored(CONTRACT, LAYOUT)
DOCUMENT = Document("a", "One. Two.")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.sqlite", "c")) as journal:
        yield journal


def prepared(journal: Journal, document: Document) -> ChunkedDocument | Unchanged | Refused:
    return Preparation(STORED, Sentences(), Shelf(), journal).prepare(document)


def encoded(journal: Journal) -> EncodedDocument:
    chunked = prepared(journal, DOCUMENT)
    assert isinstance(chunked, ChunkedDocument)
    (outcome,) = Encoding(FakeEncoder(), CONTRACT, journal).encode([chunked])
    assert isinstance(outcome, EncodedDocument)
    return outcome


def test_a_document_is_cut_refused_or_unchanged(journal: Journal) -> None:
    chunked = prepared(journal, DOCUMENT)
    assert isinstance(chunked, ChunkedDocument)
    assert (chunked.id, [chunk.text for chunk in chunked.chunks]) == ("a", ["One.", " Two."])
    again = prepared(journal, DOCUMENT)
    assert isinstance(again, Refused), "and nothing is raised"
    assert "document 'a' came twice in one run" in str(again.reason)
    journal.record([("b", Entry(chunked.digest, 2))])
    assert isinstance(prepared(journal, Document("b", DOCUMENT.text)), Unchanged)
    assert isinstance(prepared(journal, Document("b\x00", "Text.")), Refused)


def chunker_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("jina-v3-chunker")]


def test_documents_are_read_here_and_cut_ahead_in_order(journal: Journal) -> None:
    read_in, cut_in = set(), set()

    class Cuts(Sentences):
        def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
            cut_in.add(threading.current_thread().name)
            return super().spans(text, text_format)

    def source() -> Iterator[Document | DocumentError]:
        for number in range(50):
            read_in.add(threading.current_thread())
            yield DocumentError("unreadable") if number == 20 else Document(f"d{number}", f"Text {number}.")

    outcomes = list(Preparation(STORED, Cuts(), Shelf(), journal).prepared(source()))
    texts = [outcome.document.text for outcome in outcomes if isinstance(outcome, ChunkedDocument)]
    assert texts == [f"Text {number}." for number in range(50) if number != 20]
    assert isinstance(outcomes[20], Refused)
    assert read_in == {threading.current_thread()}
    assert cut_in == {"jina-v3-chunker_0"}
    assert chunker_threads() == []


@pytest.mark.parametrize(("characters", "most"), [(10, AHEAD + 1), (BATCH_CHARACTERS, 2), (BATCH_CHARACTERS // 4, 5)])
def test_few_documents_are_read_ahead(journal: Journal, characters: int, most: int) -> None:
    """Of large ones, only the next one: memory does not grow."""
    read = 0

    def endless() -> Iterator[Document]:
        nonlocal read
        while True:
            read += 1
            yield Document(f"d{read}", "x" * (characters - 1) + ".")

    with closing(Preparation(STORED, Sentences(), Shelf(), journal).prepared(endless())) as outcomes:
        for number in range(1, 20):
            assert isinstance(next(outcomes), ChunkedDocument)
            assert read == number - 1 + most
    assert chunker_threads() == []


def test_a_chunker_that_waits_is_told_to_stop_and_nothing_is_cut_after_it(journal: Journal) -> None:
    """As one that asks a language model. The second document waits, while the first is used."""

    class Waits(Sentences):
        def __init__(self) -> None:
            self.texts: list[str] = []
            self.waiting, self.answer = threading.Event(), threading.Event()

        def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
            self.texts.append(text)
            if len(self.texts) == 2:
                self.waiting.set()
                assert self.answer.wait(60), "nobody stopped it"
                raise CancelledError
            return super().spans(text, text_format)

        def stop(self, thread: int) -> None:
            assert thread in [each.ident for each in threading.enumerate() if each.name == "jina-v3-chunker_0"]
            self.answer.set()

    chunker = Waits()
    several = [Document(f"d{number}", f"Text {number}." + "x" * (BATCH_CHARACTERS // 3)) for number in range(5)]
    with closing(Preparation(STORED, chunker, Shelf(), journal).prepared(several)) as outcomes:
        assert isinstance(next(outcomes), ChunkedDocument)
        assert chunker.waiting.wait(10)
    assert len(chunker.texts) == 2
    assert chunker_threads() == []


def test_what_a_chunker_raises_rises_in_its_turn_and_ends_the_thread(journal: Journal) -> None:
    class Breaks(Sentences):
        def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
            if "5" in text:
                raise RuntimeError(f"cannot cut {text}")
            return super().spans(text, text_format)

    outcomes = Preparation(STORED, Breaks(), Shelf(), journal).prepared(Document(f"d{n}", f"{n}.") for n in range(30))
    assert [outcome.id for outcome in islice(outcomes, 5) if isinstance(outcome, ChunkedDocument)] == [
        f"d{number}" for number in range(5)
    ]
    with pytest.raises(RuntimeError, match=r"cannot cut 5\."):
        next(outcomes)
    assert chunker_threads() == []


def test_the_digest_of_a_document_without_marks_is_that_of_earlier_versions(journal: Journal) -> None:
    """Their journals hold it, and unchanged documents are skipped by it."""
    chunked = prepared(journal, Document("a", "One. Two.", {"b": 1, "a": "é"}))
    assert isinstance(chunked, ChunkedDocument)
    digest = hashlib.blake2b(json.dumps(CONTRACT.deciding(), sort_keys=True).encode(), digest_size=16)
    for part in (b"One. Two.", b"text", rb'{"a": "\u00e9", "b": 1}'):
        digest.update(len(part).to_bytes(8) + part)
    assert chunked.digest == digest.digest()


def test_vectors_of_an_earlier_run_are_kept_from_the_intent_to_the_record(journal: Journal) -> None:
    first = encoded(journal)
    shelf, tally = Shelf(), Tally(skip_bad=False, on_progress=lambda _: None)
    writing = Writing(shelf, LAYOUT, journal, AT_ONCE, tally, complete=True, check_writer=lambda: None)
    assert not first.kept
    writing.intend([first])
    assert journal.get("a") == Entry(None, 2), "open"
    (second,) = Encoding(FakeEncoder(), CONTRACT, journal).encode([first.chunked])
    assert isinstance(second, EncodedDocument)
    assert second.kept
    assert np.array_equal(second.vectors, first.vectors)
    writing.intend([second])
    writing.write([second])
    assert journal.get("a") == Entry(first.chunked.digest, 2), "whole"
    assert not journal.keeps_any()
    assert (len(shelf.points), shelf.deleted) == (2, [])


def test_nothing_is_written_once_another_journal_has_taken_over(journal: Journal, tmp_path: Path) -> None:
    def check_writer() -> None:
        raise AnotherWriter("docs", tmp_path, older_copy=False)

    shelf, tally = Shelf(), Tally(skip_bad=False, on_progress=lambda _: None)
    writing = Writing(shelf, LAYOUT, journal, AT_ONCE, tally, complete=True, check_writer=check_writer)
    outcome = encoded(journal)
    writing.intend([outcome])
    with pytest.raises(AnotherWriter, match="'docs' was last written with another journal"):
        writing.write([outcome])
    assert (shelf.points, journal.get("a")) == ({}, Entry(None, 2))


def test_a_refusal_stops_a_run_or_is_counted() -> None:
    shown: list[IngestReport] = []
    reason = DocumentError("document 'a': no")
    with pytest.raises(DocumentError, match="document 'a': no"):
        Tally(skip_bad=False, on_progress=shown.append).refused(reason)
    tally = Tally(skip_bad=True, on_progress=shown.append)
    for _ in range(150):
        tally.refused(reason)
    assert (tally.report.skipped, len(tally.report.bad)) == (150, 100)
    assert shown == []
    for _ in range(1000):
        tally.unchanged()
    assert shown == [tally.report, tally.report], "now and then"
