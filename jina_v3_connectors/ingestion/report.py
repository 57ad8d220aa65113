"""What an ingest did, and the one place that counts it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import DocumentError

BAD_REMEMBERED = 100
UNCHANGED_PER_PROGRESS = 500


@dataclass
class IngestReport:
    """What an ingest did. Seconds overlap: encoding and writing run side by side."""

    documents: int = 0
    """Documents written."""
    chunks: int = 0
    unchanged: int = 0
    """Documents that are already stored in exactly this form."""
    empty: int = 0
    """Documents without text. Their old chunks were deleted."""
    pruned: int = 0
    """Documents that were deleted because they are not in this run. A refused document keeps its old version."""
    skipped: int = 0
    """Documents that could not be stored, with `skip_bad`."""
    bad: list[str] = field(default_factory=list)
    """The reasons, for the first hundred of them."""
    refused: list[str] = field(default_factory=list)
    """The ids of skipped documents, where they have one. What is stored of an older version stays."""
    remarks: list[str] = field(default_factory=list)
    """How the collection differed from the journal, and what to do."""
    retried: int = 0
    """Requests repeated."""
    tokens: int = 0
    """Tokens the encoder read, prompts and the overlap of windows included."""
    bytes: int = 0
    """Bytes that were sent: an estimate, as JSON."""
    handled: float = 0.0
    """Documents that are encoded, unchanged or refused. While one is encoded, the part of it that is."""
    seconds: float = 0.0
    """The whole ingest, from making the collection to the end of `settle`."""
    seconds_encoding: float = 0.0
    seconds_writing: float = 0.0
    seconds_waiting: float = 0.0
    """How long encoding waited for the store."""


class Tally:
    """Counts the outcomes of documents and shows the report as it grows. Threads may count at the same time."""

    def __init__(self, *, skip_bad: bool, on_progress: Callable[[IngestReport], None]) -> None:
        self.report = IngestReport()
        self._skip_bad, self._on_progress = skip_bad, on_progress
        self._lock = threading.Lock()

    def unchanged(self) -> None:
        with self._lock:
            self.report.unchanged += 1
            self.report.handled += 1
        if self.report.unchanged % UNCHANGED_PER_PROGRESS == 0:
            self.show()

    def handled(self, documents: float) -> None:
        """Count documents, or parts of them, that encoding is done with."""
        with self._lock:
            self.report.handled += documents
        self.show()

    def refused(self, reason: DocumentError) -> None:
        """Raises `reason`, unless bad documents are skipped."""
        if not self._skip_bad:
            raise reason
        with self._lock:
            self.report.skipped += 1
            if reason.document_id is not None:
                self.report.refused.append(reason.document_id)
            if len(self.report.bad) < BAD_REMEMBERED:
                self.report.bad.append(str(reason))

    def encoded(self, *, tokens: int, seconds: float) -> None:
        with self._lock:
            self.report.tokens += tokens
            self.report.seconds_encoding += seconds

    def waited(self, seconds: float) -> None:
        """Count time in which encoding waited for the store."""
        with self._lock:
            self.report.seconds_waiting += seconds

    def written(self, *, documents: int, chunks: int, empty: int, size: int, seconds: float) -> None:
        with self._lock:
            self.report.documents += documents
            self.report.chunks += chunks
            self.report.empty += empty
            self.report.bytes += size
            self.report.seconds_writing += seconds
        self.show()

    def pruned(self, documents: int) -> None:
        with self._lock:
            self.report.pruned += documents

    def retried(self) -> None:
        with self._lock:
            self.report.retried += 1

    def show(self) -> None:
        """Show the report as it is now."""
        self._on_progress(self.report)
