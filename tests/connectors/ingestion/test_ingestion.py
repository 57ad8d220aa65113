"""The engine over a store in memory that can be slow, busy or broken on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.chunking import Chunker, WholeDocument
from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.documents import Chunk, Document, Mark, Tail
from jina_v3_connectors.errors import DocumentError, StoreBusy, StoreError
from jina_v3_connectors.filters import Condition, chunks_of
from jina_v3_connectors.ingestion.ingestion import Ingestion, IngestOptions
from jina_v3_connectors.ingestion.journal import Journal
from jina_v3_connectors.ingestion.report import IngestReport
from jina_v3_connectors.limits import WriteLimits
from jina_v3_connectors.store import Layout, Stored
from jina_v3_encoder.retry import RetryPolicy
from jina_v3_encoder.testing import FakeEncoder

from ...support.conditions import matches

CONTRACT = EmbeddingContract("fake", None, "0" * 16, 16, "whole document")


class NoLayout:
    hybrid = False


LAYOUT = NoLayout()
AT_ONCE = RetryPolicy(first=0.001, longest=0.002, total=5.0)


class Sentences:
    """One chunk for each sentence."""

    description = "sentences"

    def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
        ends = [number + 1 for number, character in enumerate(text) if character == "."]
        return list(zip([0, *ends], ends, strict=False))


@dataclass
class Shelf:
    """Keeps points by chunk id. `before` is called with each upsert, and may raise."""

    write_limits: WriteLimits = field(default_factory=lambda: WriteLimits(1000, 10**8))
    points: dict[Any, tuple[Chunk, np.ndarray]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    deleted: list[Condition] = field(default_factory=list)

    def before(self) -> None:
        """Nothing goes wrong."""

    def upsert(self, chunks: Sequence[Chunk], vectors: np.ndarray, layout: Layout) -> None:
        assert layout is LAYOUT, "as it was read"
        self.before()
        self.sizes.append(len(chunks))
        self.points.update({chunk.id: (chunk, row) for chunk, row in zip(chunks, vectors, strict=True)})

    def delete(self, where: Condition) -> None:
        self.deleted.append(where)
        self.points = {key: point for key, point in self.points.items() if not matches(where, point[0])}

    def check_storable(self, document: Document, layout: Layout) -> None:
        """Takes every document."""

    def texts(self) -> list[str]:
        return sorted(chunk.text.strip() for chunk, _ in self.points.values())


@dataclass
class Bench:
    """Everything a run needs, kept between runs."""

    file: Path
    shelf: Shelf = field(default_factory=Shelf)
    encoder: FakeEncoder = field(default_factory=FakeEncoder)
    chunker: Chunker = field(default_factory=Sentences)

    def run(
        self, documents: Any, *, complete: bool = False, target: str = "c", prune: bool = False, **options: Any
    ) -> IngestReport:
        journal = Journal(self.file, target)
        options.setdefault("retry", AT_ONCE)
        try:
            settings = (
                self.encoder,
                Stored(CONTRACT, LAYOUT),
                self.chunker,
                self.shelf,
                journal,
                IngestOptions(**options),
            )
            ingestion = Ingestion(*settings, complete=complete)
            report = ingestion.run(documents)
            if prune:
                ingestion.prune()
            return report
        finally:
            journal.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "journal.sqlite")


def refusing() -> None:
    raise StoreError("out of order")


def documents(count: int, sentences: int = 2) -> list[Document]:
    return [Document(f"d{n}", "".join(f" Sentence {k} of {n}." for k in range(sentences))) for n in range(count)]


MARKED = replace(documents(4)[3], marks=(Mark(0, {"page": 1}),))


def test_everything_arrives_with_the_right_vectors(bench: Bench) -> None:
    report = bench.run(documents(200))
    assert (report.documents, report.chunks, len(bench.shelf.points)) == (200, 400, 400)
    for chunk, row in bench.shelf.points.values():
        wanted = bench.encoder.encode([chunk.text], task="retrieval.passage", dimensions=16)[0]
        assert np.allclose(row, wanted)
    assert report.bytes > 0


def test_a_rerun_of_an_unchanged_corpus_does_nothing(bench: Bench) -> None:
    bench.run(documents(100))
    before = (list(bench.shelf.sizes), list(bench.shelf.deleted))
    report = bench.run(documents(100))
    assert (report.documents, report.chunks, report.unchanged) == (0, 0, 100)
    assert (bench.shelf.sizes, bench.shelf.deleted) == before


@pytest.mark.parametrize(
    "changed",
    [Document("d3", "Other text."), Document("d3", documents(4)[3].text, {"lang": "en"}), Document("d3", ""), MARKED],
    ids=["text", "metadata", "emptied", "marks"],
)
def test_only_what_changed_is_written_again(bench: Bench, changed: Document) -> None:
    corpus = documents(10)
    bench.run(corpus)
    corpus[3] = changed
    report = bench.run(corpus)
    assert (report.documents, report.unchanged) == (1, 9)
    texts = sorted(chunk.text for chunk, _ in bench.shelf.points.values() if chunk.document_id == "d3")
    assert texts == sorted(changed.text[slice(*span)] for span in Sentences().spans(changed.text))
    assert bench.run(corpus).unchanged == 10


def test_a_longer_document_needs_no_delete_a_shorter_one_does(bench: Bench) -> None:
    bench.run([Document("a", "One. Two.")], complete=True)
    assert bench.shelf.deleted == []
    bench.run([Document("a", "One. Two. Three.")])
    assert bench.shelf.deleted == []
    bench.run([Document("a", "One.")])
    assert bench.shelf.deleted == [chunks_of([Tail("a", 1)])]
    assert bench.shelf.texts() == ["One."]


def test_another_collection_id_is_another_journal(bench: Bench) -> None:
    bench.run(documents(5))
    bench.shelf.points.clear()
    report = bench.run(documents(5), target="made anew")
    assert (report.documents, len(bench.shelf.points)) == (5, 10)


def test_another_contract_writes_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(documents(5))
    other = EmbeddingContract("fake", None, "1" * 16, 16, "whole document")
    monkeypatch.setattr("tests.connectors.ingestion.test_ingestion.CONTRACT", other)
    assert bench.run(documents(5)).documents == 5


def test_removed_documents_go_when_asked_only(bench: Bench) -> None:
    bench.run(documents(10))
    assert bench.run(documents(4)).pruned == 0
    assert len(bench.shelf.points) == 20
    report = bench.run(documents(4), prune=True)
    assert (report.pruned, report.unchanged) == (6, 4)
    assert len(bench.shelf.points) == 8
    assert bench.run(documents(10)).documents == 6, "forgotten by the journal too"


def test_pruning_keeps_what_was_just_written(bench: Bench) -> None:
    bench.run(documents(3))
    report = bench.run([Document("new", "Text."), *documents(1)], prune=True)
    assert (report.documents, report.pruned) == (1, 2)
    assert bench.shelf.texts() == ["Sentence 0 of 0.", "Sentence 1 of 0.", "Text."]


def test_requests_stay_within_the_stores_limits(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "j", Shelf(WriteLimits(rows=7, bytes=10**6)))
    bench.run(documents(100))
    assert max(bench.shelf.sizes) <= 7
    assert sum(bench.shelf.sizes) == 200


def test_a_chunk_that_no_request_can_hold(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "j", Shelf(WriteLimits(rows=7, bytes=2000)))
    with pytest.raises(DocumentError, match="use smaller chunks"):
        bench.run([Document("a", "x" * 2000 + ".")])


class Busy(Shelf):
    """Fails every third request."""

    calls = 0

    def before(self) -> None:
        self.calls += 1
        if self.calls % 3 == 0:
            raise StoreBusy("503", retry_after=0.001 if self.calls % 2 else None)


def test_a_third_of_the_requests_failing_changes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "j", Busy(WriteLimits(rows=10, bytes=10**6)))
    report = bench.run(documents(200))
    assert report.retried > 10
    assert (report.documents, len(bench.shelf.points)) == (200, 400)


class Gone(Shelf):
    """Works for a while, then never again."""

    left = 3

    def before(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreBusy("connection refused")


def test_a_store_that_stays_away_ends_the_run_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "j", Gone())
    with pytest.raises(StoreError, match=r"gave up after .* connection refused"):
        bench.run(documents(1000), retry=RetryPolicy(first=0.001, longest=0.001, total=0.05))
    stored = len(bench.shelf.points)
    assert stored == sum(bench.shelf.sizes) > 0
    bench.shelf.__class__ = Shelf  # it comes back
    report = bench.run(documents(1000))
    assert report.unchanged == stored // 2, "every acknowledged document is known"
    assert len(bench.shelf.points) == 2000


def test_an_error_of_the_store_is_raised_as_it_is(tmp_path: Path) -> None:
    class Full(Shelf):
        def before(self) -> None:
            raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="the disk is full"):
        Bench(tmp_path / "j", Full()).run(documents(1000))


def test_a_failing_store_does_not_read_the_whole_corpus(tmp_path: Path) -> None:
    taken = 0

    def endless() -> Iterator[Document]:
        nonlocal taken
        while True:
            taken += 1
            yield Document(str(taken), "Text.")

    bench = Bench(tmp_path / "j", Gone())
    with pytest.raises(StoreError, match="what was acknowledged is kept, run the same again to go on"):
        bench.run(endless(), retry=RetryPolicy(first=0.001, longest=0.001, total=0.01))
    assert taken < 2000


class Picky(FakeEncoder):
    """Cannot read some documents."""

    def encode(self, texts: Any, **settings: Any) -> np.ndarray:
        if any("poison" in text for text in texts):
            from jina_v3_encoder.errors import InvalidInput

            raise InvalidInput("this is poison")
        return super().encode(texts, **settings)


def test_a_poisoned_document_stops_the_run_after_the_good_ones_of_its_batch(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "j", encoder=Picky())
    corpus = [*documents(5), Document("bad", "Some poison."), *documents(100)[10:]]
    with pytest.raises(DocumentError, match="document 'bad': this is poison"):
        bench.run(corpus)
    assert {f"Sentence 0 of {n}." for n in range(5)} <= set(bench.shelf.texts())


def test_poisoned_documents_are_skipped_and_named_when_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "j", encoder=Picky())
    corpus: list[Any] = [Document("bad1", "Some poison."), *documents(30), "no document", Document("bad2", "poison.")]
    report = bench.run(corpus, skip_bad=True)
    assert (report.documents, report.skipped) == (30, 3)
    assert any("bad1" in reason for reason in report.bad)
    assert any("expected a Document" in reason for reason in report.bad)
    again = bench.run(corpus, skip_bad=True)
    assert (again.unchanged, again.skipped) == (30, 3), "they are tried again, and only they"


def test_kept_vectors_are_not_given_to_other_spans(bench: Bench) -> None:
    """A chunker that changed under the same description cuts as many chunks, elsewhere."""

    class Elsewhere(Sentences):
        def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
            first, second = super().spans(text, text_format)
            return [(first[0], first[1] - 3), (first[1] - 3, second[1])]

    bench.shelf.before = refusing  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="out of order"):
        bench.run(documents(1))
    del bench.shelf.before
    bench.chunker = Elsewhere()
    bench.run(documents(1))
    for chunk, row in bench.shelf.points.values():
        wanted = bench.encoder.encode([chunk.text], task="retrieval.passage", dimensions=16)[0]
        assert np.allclose(row, wanted), chunk


def test_when_the_source_breaks_what_was_read_is_stored(bench: Bench) -> None:
    def breaking() -> Iterator[Document]:
        yield from documents(300)
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="the disk went away"):
        bench.run(breaking())
    assert len(bench.shelf.points) >= 2 * 250
    report = bench.run(documents(300))
    assert report.unchanged >= 250
    assert len(bench.shelf.points) == 600


def test_ctrl_c_writes_what_is_encoded(bench: Bench) -> None:
    def interrupted() -> Iterator[Document]:
        yield from documents(500)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(interrupted())
    known = bench.run(documents(500)).unchanged
    assert known >= 450


def test_encoding_goes_on_while_the_store_is_writing(tmp_path: Path) -> None:
    """The second batch is encoded before the first write returns; without overlap this would never end."""
    encoding = threading.Event()

    class Waits(Shelf):
        def before(self) -> None:
            if not self.sizes:
                assert encoding.wait(10), "nothing was encoded meanwhile"

    class Tells(FakeEncoder):
        calls = 0

        def encode(self, texts: Any, **settings: Any) -> np.ndarray:
            self.calls += 1
            if self.calls == 2:
                encoding.set()
            return super().encode(texts, **settings)

    assert Bench(tmp_path / "j", Waits(), Tells()).run(documents(200)).documents == 200


def test_the_next_documents_are_cut_while_others_are_encoded(tmp_path: Path) -> None:
    """The first batch is encoded after another document was cut; taking turns, this would never end."""
    cutting = threading.Event()

    class Cuts(Sentences):
        encoding = False

        def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
            if self.encoding:
                cutting.set()
            else:
                time.sleep(0.01)  # so that not all were cut before
            return super().spans(text, text_format)

    chunker = Cuts()

    class Waits(FakeEncoder):
        def encode(self, texts: Any, **settings: Any) -> np.ndarray:
            chunker.encoding = True
            assert cutting.wait(10), "nothing was cut meanwhile"
            return super().encode(texts, **settings)

    assert Bench(tmp_path / "j", encoder=Waits(), chunker=chunker).run(documents(100)).documents == 100


@pytest.mark.parametrize("stop", [KeyboardInterrupt, StoreError])
def test_a_stop_leaves_no_thread_behind(tmp_path: Path, stop: type[BaseException]) -> None:
    class Stops(Shelf):
        def before(self) -> None:
            raise stop("now")

    before = set(threading.enumerate())
    with pytest.raises(stop, match="now"):
        Bench(tmp_path / "j", Stops()).run(documents(200))
    assert [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("jina-v3")] == []


def test_a_slow_store_holds_reading_back(tmp_path: Path) -> None:
    """Memory is bounded: while nothing is written, only a few batches are read."""
    release, taken = threading.Event(), 0

    class Slow(Shelf):
        def before(self) -> None:
            release.wait(10)

    def source() -> Iterator[Document]:
        nonlocal taken
        for document in documents(1500, sentences=1):
            taken += 1
            yield document

    bench = Bench(tmp_path / "j", Slow())
    thread = threading.Thread(target=bench.run, args=(source(),))
    thread.start()
    thread.join(1.0)
    seen = taken
    release.set()
    thread.join(60)
    assert seen < 500
    assert len(bench.shelf.points) == 1500


def test_progress_is_told(bench: Bench) -> None:
    told: list[int] = []
    bench.run(documents(300), on_progress=lambda report: told.append(report.chunks))
    assert told[-1] == 600
    assert told == sorted(told)
    assert len(told) > 3


def test_progress_tells_what_is_handled_also_within_a_document(bench: Bench) -> None:
    long = Document("long", "".join(f" Sentence {k}." for k in range(100)))
    corpus: list[Any] = [Document("empty", ""), long, "no document", *documents(3)]
    told: list[float] = []
    report = bench.run(corpus, on_progress=lambda report: told.append(report.handled), skip_bad=True)
    assert told == sorted(told)
    assert report.handled == told[-1] == pytest.approx(6)
    assert sum(handled % 1 > 0 for handled in told) > 50
    again: list[float] = []
    assert bench.run(corpus, on_progress=lambda report: again.append(report.handled), skip_bad=True).handled == 6
    assert again[-1] == 6


def test_whole_documents(bench: Bench) -> None:
    journal = Journal(bench.file, "whole")
    stored = Stored(CONTRACT, LAYOUT)
    run = Ingestion(bench.encoder, stored, WholeDocument(), bench.shelf, journal, IngestOptions(), complete=True)
    assert run.run([Document("a", "text"), Document("b", " ")]).empty == 1
    journal.close()


def test_an_id_that_comes_twice_is_refused_and_the_first_one_counts(bench: Bench) -> None:
    corpus = [Document("a", "One. Two. Three."), Document("b", "B."), Document("a", "Last.")]
    with pytest.raises(DocumentError, match="document 'a' came twice in one run: ids must be unique"):
        bench.run(corpus, complete=True)
    report = bench.run(corpus, skip_bad=True)
    assert (report.skipped, report.unchanged + report.documents) == (1, 2)
    assert bench.shelf.texts() == ["B.", "One.", "Three.", "Two."]


def test_a_document_that_has_become_bad_keeps_its_good_version(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "j", encoder=Picky())
    bench.run([Document("a", "Good."), Document("b", "Good too."), Document("c", "Gone.")])
    bad = [Document("a", "Now poison."), Document("b", "Good too.", {"x": object()})]
    report = bench.run(bad, skip_bad=True, prune=True)
    assert (report.skipped, report.pruned) == (2, 1)
    assert bench.shelf.texts() == ["Good too.", "Good."]


class GivesUp(Shelf):
    """Takes `left` requests, then never another."""

    left = 1

    def before(self) -> None:
        if self.left == 0:
            raise StoreError("the disk is full")
        self.left -= 1


def test_an_upsert_that_gave_up_half_way_leaves_nothing_wrong(tmp_path: Path) -> None:
    """Some chunks of the new version are stored when the old one comes again."""
    bench = Bench(tmp_path / "j", Shelf(WriteLimits(2, 10**6)))
    old, new = Document("a", "One. Two."), Document("a", "Uno. Due. Tre. Quattro. Cinque.")
    bench.run([old])
    bench.shelf.__class__ = GivesUp
    with pytest.raises(StoreError, match="the disk is full"):
        bench.run([new])
    bench.shelf.__class__ = Shelf
    assert bench.shelf.texts() == ["Due.", "Uno."]
    assert bench.run([old]).documents == 1
    assert bench.shelf.texts() == ["One.", "Two."]


def test_a_document_whose_id_is_refused_today_is_not_pruned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 3000
    with monkeypatch.context() as patch:
        patch.setattr("jina_v3_connectors.document_checks.MAX_ID_BYTES", 4000)
        bench.run([Document(long, "Kept."), Document("gone", "Gone.")])
    for _ in range(2):
        report = bench.run([Document(long, "Kept."), Document("a\ud800", "Bad.")], skip_bad=True, prune=True)
        assert report.skipped == 2
    assert bench.shelf.texts() == ["Kept."]
