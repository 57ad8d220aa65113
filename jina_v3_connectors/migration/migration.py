"""`Migration`: fills the new collection from the old one, follows it, checks it, and moves the name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from jina_v3_encoder.retry import DEFAULT_RETRY, RetryPolicy, with_retries

from ..connector import VectorConnector
from ..documents import Chunk, Document
from ..errors import DocumentError, StoreError, StoreNotFound
from ..ingestion.report import IngestReport
from .changes import Changes, held
from .rebuild import Rebuilt
from .records import Source
from .spec import MigrationSpec
from .state import COMPLETE, PLANNED, RUNNING, DocumentRows, MigrationState, Totals
from .survey import READ_AT_ONCE, rebuilt_documents, survey
from .verification import Verification, verify

OURS = "jina-v3"
MAY_WAIT = 100
"""Changes that may wait when a run ends, or a name is switched. An application that writes all the time always has
some; the next run, or the switch, brings them over."""
PATIENCE = 3
"""Times that changes are looked for without fewer being left, before the rest is left to the next run."""
FEW = 100
"""Chunks that may be deleted without a question."""
NAMED = 20


@dataclass
class RunReport:
    """What a run did, and what the new collection lacks now."""

    totals: Totals
    ingest: IngestReport = field(default_factory=IngestReport)
    """Of the pass over all documents."""
    followed: int = 0
    """Documents that changed meanwhile and were brought over."""
    deleted: int = 0
    """Documents that were deleted meanwhile."""
    missing: list[str] = field(default_factory=list)
    """The first documents that the new collection lacks."""
    missing_count: int = 0
    waiting: int = 0
    """Changes that are not brought over yet."""
    verification: Verification | None = None
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether the new collection holds everything but the last few changes, and its sample is right."""
        right = self.verification is not None and self.verification.is_right
        return right and not self.missing_count and self.waiting <= MAY_WAIT


class Migration:
    """One move. Every step can be repeated, and be killed."""

    def __init__(
        self,
        spec: MigrationSpec,
        source: Source,
        target: VectorConnector,
        target_records: Callable[[], Source],
        state: MigrationState,
        changes: Sequence[Changes] = (),
    ) -> None:
        """`changes` are the notes of those who write to the old collection meanwhile. `target_records` opens the new
        collection for reading its vectors.
        """
        self.spec, self.source, self.target, self.state = spec, source, target, state
        self.target_records = target_records
        self._changes = list(changes)
        self._keep_ids = source.description == OURS

    def run(
        self,
        *,
        skip_bad: bool = False,
        allow_shrinking: bool = False,
        retry: RetryPolicy = DEFAULT_RETRY,
        sample: int | None = None,
        on_survey: Callable[[int], None] = lambda _: None,
        on_progress: Callable[[IngestReport, Totals], None] = lambda *_: None,
    ) -> RunReport:
        """Fill the new collection, bring over what changed meanwhile, and check a sample.

        Args:
            skip_bad: Leave out documents without text, and those that cannot be stored. They are named, and count as
                missing. What was moved of an older version is deleted.
            allow_shrinking: Delete more than half of the new collection, where the old one lost as much.
            retry: How long to wait for a busy store.
            sample: Documents that are encoded again to check them; None for the usual number, 0 for all.
            on_survey: Called with the number of records that were listed so far.
            on_progress: Called with the growing report of the pass over all documents.

        Raises:
            StoreError: another process runs this migration, a store refuses, or the new collection holds what this
                migration did not put there.
            ContractMismatch: the new collection was begun with another model, task, size or chunking.
            DocumentError: a document cannot be moved, and `skip_bad` is off.
        """
        start = time.perf_counter()
        with self.alone(retry):
            self._check_target(allow_shrinking=True, listed=None)
            self.state.begin(self.spec)
            totals = survey(self.source, self.state, on_survey)
            self._check_target(allow_shrinking=allow_shrinking, listed=totals.records)
            self.state.reach(RUNNING)
            report = RunReport(totals)
            report.ingest = self.target.ingest(
                self.read_documents(self.state.documents()),
                skip_bad=skip_bad,
                prune=True,
                retry=retry,
                on_progress=lambda ingest: on_progress(ingest, totals),
            )
            self._drop_stale(report.ingest)
            self._follow(report, skip_bad=skip_bad, retry=retry)
            report.verification = self.verify(sample)
            self._look(report)
            if report.is_complete:
                self.state.reach(COMPLETE)
        report.seconds = time.perf_counter() - start
        return report

    def follow(self, *, skip_bad: bool = False, retry: RetryPolicy = DEFAULT_RETRY) -> RunReport:
        """Bring over what changed since the last run. Quick, since only noted documents are read.

        Raises:
            StoreError, DocumentError: as `run`.
        """
        with self.alone(retry):
            return self.follow_alone(skip_bad=skip_bad, retry=retry)

    def follow_alone(self, *, skip_bad: bool, retry: RetryPolicy) -> RunReport:
        """As `follow`, for a caller that holds the lock already."""
        start = time.perf_counter()
        report, progress = RunReport(self.state.totals()), self.state.progress()
        if progress is not None and progress.stage != PLANNED:  # else the first run lists everything
            self._follow(report, skip_bad=skip_bad, retry=retry)
        report.waiting = self.waiting()
        report.seconds = time.perf_counter() - start
        return report

    def waiting(self) -> int:
        """Changes that are not brought over yet."""
        return sum(change.waiting() for change in self._changes)

    def missing(self) -> Iterator[str]:
        """Listed documents that the new collection does not hold whole, or that have a record without text.

        One of which a change waits is not missing: it may be gone by now, and counts as waiting. In place, one that is
        gone has left nothing behind.
        """
        lacking = self._lacking()
        while page := list(islice(lacking, READ_AT_ONCE)):
            there = self._still_there(page)
            yield from (document for document, keys in page if there is None or not there.isdisjoint(keys))

    def _lacking(self) -> Iterator[DocumentRows]:
        """Listed documents that are not whole in the new collection, and of which no change waits."""
        stored = self.target.chunk_counts()
        without_text = self.state.documents_without_text()
        waiting: set[str] | None = None
        for rows in self.state.documents():
            expected = 1 if self.rechunks else len(rows.keys)
            if stored.get(rows.document, 0) < expected or rows.document in without_text:
                waiting = self._waiting_documents() if waiting is None else waiting
                if rows.document not in waiting:
                    yield rows

    def _still_there(self, page: Sequence[DocumentRows]) -> set[str] | None:
        """Which records of these documents the collection holds, where a move in place makes that matter."""
        if not self.spec.in_place:
            return None
        return {record.key for record in self.source.read([key for rows in page for key in rows.keys])}

    def verify(self, sample: int | None = None) -> Verification:
        """Encode documents again and compare them with what is stored; see `verification.verify`.

        Documents whose changes wait may differ.
        """
        with closing(self.target_records()) as stored:
            return verify(
                self.state.documents(),
                self.read_documents,
                self.target,
                stored,
                sample,
                is_waiting=self._is_waiting,
                key_of=self._key_of,
            )

    @property
    def rechunks(self) -> bool:
        """Whether whole documents are cut anew."""
        return self.spec.settings.rechunk_tokens is not None

    def read_documents(self, rows: Iterable[DocumentRows]) -> Iterator[Document | DocumentError]:
        """Documents of the old collection as they are now."""
        keep = {"keep_cuts": not self.rechunks, "keep_ids": self._keep_ids}
        for rebuilt in rebuilt_documents(self.source, iter(rows), **keep):
            yield rebuilt.document if isinstance(rebuilt, Rebuilt) else rebuilt

    @contextmanager
    def alone(self, retry: RetryPolicy) -> Iterator[None]:
        """Nobody else runs this migration.

        Raises:
            StoreError: somebody does, for longer than `retry` waits.
        """
        with held(self.state.lock_file, min(retry.total, 10.0)) as is_mine:
            if not is_mine:
                raise StoreError(
                    f"migration {self.state.name!r} is being run by another process on this machine: wait for it, or "
                    "stop it first"
                )
            yield

    def _key_of(self, chunk: Chunk) -> str:
        """In place, a record of others keeps its key."""
        return chunk.document_id if self.spec.in_place and not self._keep_ids else str(chunk.id)

    def _is_waiting(self, document: str) -> bool:
        """Whether a change of the document is noted now."""
        return document in self._waiting_documents()

    def _waiting_documents(self) -> set[str]:
        """The documents of the oldest changes that wait."""
        return {document for change in self._changes for document in change.documents(self.source, self.state)}

    def _check_target(self, *, allow_shrinking: bool, listed: int | None) -> None:
        """Refuse to take over, or to empty, a collection.

        Raises:
            StoreError: it was filled by somebody else, or most of it would be deleted.
        """
        count, progress = self.target.count(), self.state.progress()
        if count and (progress is None or progress.stage == PLANNED):
            raise StoreError(
                f"collection {self.spec.target_collection!r} holds {count:,} chunks that this migration did not put "
                "there, and a run deletes what the old collection has not: name a new one (--into), or delete it first"
            )
        if listed is not None and not allow_shrinking and not self.rechunks and count > 2 * listed + FEW:
            raise StoreError(
                f"the old collection holds {listed:,} records, the new one {count:,} chunks: more than half of it "
                "would be deleted. If that is right, allow it (--allow-shrinking)"
            )

    def _follow(self, report: RunReport, *, skip_bad: bool, retry: RetryPolicy) -> None:
        """Until no fewer changes are left: an application that writes while the model computes always has some."""
        least, rounds = self.waiting(), 0
        while rounds < PATIENCE:
            settled = 0
            for change in self._changes:
                noted = with_retries(partial(change.noted, self.source, self.state), retry)
                if noted.documents:
                    self._bring_over(noted.documents, report, skip_bad=skip_bad, retry=retry)
                if noted.settled:
                    change.drop(noted.settled)
                settled += len(noted.settled)
            if not settled:
                return
            left = self.waiting()
            least, rounds = (left, 0) if left < least else (least, rounds + 1)

    def _bring_over(self, changed: Sequence[str], report: RunReport, *, skip_bad: bool, retry: RetryPolicy) -> None:
        """Write documents as they are in the old collection now. Those without records are deleted."""
        rows = self.state.keys_of(changed)
        gone = [document for document, keys in rows if not keys]
        if gone:
            with suppress(StoreNotFound):  # nothing was moved yet
                self.target.delete(gone)
            report.deleted += len(gone)
        there = [row for row in rows if row.keys]
        if there:
            ingest = self.target.ingest(self.read_documents(there), skip_bad=skip_bad, retry=retry)
            self._drop_stale(ingest)
            report.followed += ingest.documents

    def _drop_stale(self, ingest: IngestReport) -> None:
        """Delete older versions of documents that cannot be moved any more: they would be found, and be wrong."""
        if ingest.refused:
            self.target.delete(ingest.refused)

    def _look(self, report: RunReport) -> None:
        for document in self.missing():
            report.missing_count += 1
            if len(report.missing) < NAMED:
                report.missing.append(document)
        report.waiting = self.waiting()
