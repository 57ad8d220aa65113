"""The ingest engine: moves documents from stage to stage. Cutting, encoding and writing run at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from queue import Queue

from jina_v3_encoder.retry import DEFAULT_RETRY, RetryPolicy
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.usage import count_usage

from ..chunking import Chunker
from ..documents import Document
from ..errors import DocumentError
from ..limits import estimated_bytes
from ..store import Stored
from .chunked import Batches, ChunkedDocument, EncodedDocument
from .encoding import Encoding
from .journal import Journal
from .preparation import Preparation, Refused, Unchanged
from .report import IngestReport, Tally
from .writing import Sink, Writing

QUEUED_BATCHES = 1
"""Encoded batches that may wait for the writer. One hides a store's pauses. More would only be lost in a crash."""

NOT_PRUNED = "nothing was pruned: what could not be read may hold any document; mend it and run the same again"


@dataclass(frozen=True)
class IngestOptions:
    """Options of one ingest."""

    skip_bad: bool = False
    retry: RetryPolicy = DEFAULT_RETRY
    on_progress: Callable[[IngestReport], None] = lambda _: None


class Share:
    """Tells how much of a batch is encoded: in all as many documents as it has."""

    def __init__(self, batch: Sequence[ChunkedDocument], passes: int, handled: Callable[[float], None]) -> None:
        """`passes` is how many vectors are made for one chunk."""
        self._documents = len(batch)
        self._vectors = passes * sum(len(chunked.chunks) for chunked in batch)
        self._handled, self._told = handled, 0
        self._started = 0

    def started(self, vectors: int) -> None:
        """So many more vectors are under way. Where one document fails, the others are encoded again."""
        self._started = min(self._vectors, self._started + vectors)
        self._tell(self._started)

    def finish(self) -> None:
        """The whole batch is done."""
        if self._vectors:
            self._tell(self._vectors)
        else:
            self._handled(self._documents)

    def _tell(self, vectors: int) -> None:
        more, self._told = vectors - self._told, vectors
        if more:
            self._handled(self._documents * more / self._vectors)


class Ingestion:
    """One run. Reads and encodes in the caller's thread, cuts ahead in another, and writes in a third."""

    def __init__(
        self,
        encoder: TextEncoder,
        stored: Stored,
        chunker: Chunker,
        sink: Sink,
        journal: Journal,
        options: IngestOptions,
        *,
        complete: bool,
        check_writer: Callable[[], None] = lambda: None,
    ) -> None:
        """`complete` is True if every chunk in the collection belongs to a document of the journal.

        `check_writer` is called before each batch is written, and raises where another journal has taken over.
        """
        self._tally = Tally(skip_bad=options.skip_bad, on_progress=options.on_progress)
        self._preparation = Preparation(stored, chunker, sink, journal)
        self._encoding = Encoding(encoder, stored.contract, journal)
        self._writing = Writing(
            sink,
            stored.layout,
            journal,
            options.retry,
            self._tally,
            complete=complete,
            check_writer=check_writer,
        )
        self._journal, self._dimensions = journal, stored.contract.dimensions
        self._passes = 2 if stored.contract.blend else 1
        self._batches = Batches(done=journal.expected().whole)
        self._queue: Queue[list[EncodedDocument] | None] = Queue(QUEUED_BATCHES)
        self._failure: BaseException | None = None

    def run(self, documents: Iterable[Document | DocumentError]) -> IngestReport:
        """Ingest `documents`; an error stands for one that cannot be read.

        Whatever stops it, documents that are already encoded are written and journalled first.

        Raises:
            DocumentError: a document cannot be read, cut or encoded, and `skip_bad` is off.
            StoreError: the store refused, or stayed busy for too long.
            InvalidVector: the encoder returned what must not be stored.
        """
        writer = threading.Thread(target=self._write_all, name="jina-v3-writer", daemon=True)
        writer.start()
        try:
            self._encode_all(documents)
        finally:
            self._queue.put(None)
            writer.join()
        if self._failure is not None:
            raise self._failure
        self._journal.forget_kept()
        return self._tally.report

    def prune(self) -> None:
        """Delete the documents that were not in this run. Refused ones were in it.

        Nothing is deleted if one of the refused has no id: it may be any document.

        Raises:
            StoreError: the store refused, or stayed busy for too long.
        """
        if self._preparation.sees_all:
            self._writing.prune()
        else:
            self._tally.report.remarks.append(NOT_PRUNED)

    def _encode_all(self, documents: Iterable[Document | DocumentError]) -> None:
        """The caller's thread. Ends early where the writer has failed."""
        with closing(self._preparation.prepared(documents)) as outcomes:
            for outcome in outcomes:
                match outcome:
                    case Unchanged():
                        self._tally.unchanged()
                    case Refused(reason):
                        self._tally.refused(reason)
                        self._tally.handled(1)
                    case ChunkedDocument() as chunked:
                        self._encode(self._batches.add(chunked))
                if self._failure is not None:
                    return
        self._tally.show()
        self._encode(self._batches.close())

    def _encode(self, batch: Sequence[ChunkedDocument]) -> None:
        """Encode a batch and hand it to the writer, then refuse what could not be encoded."""
        if not batch:
            return
        start = time.perf_counter()
        share = Share(batch, self._passes, self._tally.handled)
        with count_usage() as usage:
            outcomes = self._encoding.encode(batch, share.started)
        share.finish()
        encoded = [outcome for outcome in outcomes if isinstance(outcome, EncodedDocument)]
        if encoded:
            self._writing.intend(encoded)
        ready = time.perf_counter()
        self._tally.encoded(tokens=usage.tokens, seconds=ready - start)
        if encoded:
            self._queue.put(encoded)
            self._tally.waited(time.perf_counter() - ready)
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                self._tally.refused(outcome.reason)

    def _write_all(self) -> None:
        """The writer's thread. After a failure it empties the queue, so that the caller's thread never waits for it."""
        while (batch := self._queue.get()) is not None:
            if self._failure is None:
                try:
                    self._write(batch)
                except BaseException as error:
                    self._failure = error

    def _write(self, batch: Sequence[EncodedDocument]) -> None:
        start = time.perf_counter()
        self._writing.write(batch)
        chunks = [chunk for encoded in batch for chunk in encoded.chunked.chunks]
        self._tally.written(
            documents=len(batch),
            chunks=len(chunks),
            empty=sum(not encoded.chunked.chunks for encoded in batch),
            size=sum(estimated_bytes(chunk, self._dimensions) for chunk in chunks),
            seconds=time.perf_counter() - start,
        )
