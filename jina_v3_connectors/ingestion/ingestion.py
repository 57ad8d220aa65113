"""The ingest engine: read, skip what is unchanged, encode and write at the same time, journal what was acknowledged."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from queue import Queue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.retry import DEFAULT_RETRY, RetryPolicy, with_retries
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.usage import count_usage

from ..chunking import Chunker
from ..contract import EmbeddingContract
from ..document_checks import check_document, check_id, is_text
from ..documents import Chunk, Document, Tail
from ..errors import DocumentError
from ..limits import WriteLimits, check_chunks, check_vectors, estimated_bytes, requests
from .chunked import Cut, batched, cut
from .encoding import encode_apart
from .journal import UNKNOWN_CHUNKS, Entry, Journal

QUEUED_BATCHES = 1
"""Encoded batches that wait for the writer: one hides a store's pauses, more would only be lost in a crash."""
BAD_REMEMBERED = 100
UNCHANGED_PER_PROGRESS = 500
DELETED_AT_ONCE = 100

FloatArray = NDArray[np.float32]


class Sink(Protocol):
    """What the engine asks of a store. Calls come from one thread, each is acknowledged when it returns."""

    write_limits: WriteLimits

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> None:
        """Write points by chunk id. Raises StoreBusy for what may succeed later."""

    def delete(self, tails: Sequence[Tail]) -> None:
        """Delete chunks. Raises as `upsert`."""

    def check_storable(self, document: Document) -> None:
        """Raises DocumentError for a document that this store cannot keep, before anything is encoded."""


@dataclass
class IngestReport:
    """What an ingest did. Seconds overlap: encoding and writing run side by side."""

    documents: int = 0
    """Documents written."""
    chunks: int = 0
    unchanged: int = 0
    """Documents that the journal knows in this very form."""
    empty: int = 0
    """Documents without text; their old chunks are gone."""
    pruned: int = 0
    """Documents deleted because they did not come by; what came by and was refused keeps its old version."""
    skipped: int = 0
    """Documents that could not be stored, with `skip_bad`."""
    bad: list[str] = field(default_factory=list)
    """Why, for the first hundred of them."""
    remarks: list[str] = field(default_factory=list)
    """Where the collection was not as the journal said, and what to do."""
    retried: int = 0
    """Requests repeated."""
    tokens: int = 0
    """Tokens the encoder read, prompts and the overlap of windows included."""
    bytes: int = 0
    """About what was sent, as JSON."""
    seconds: float = 0.0
    """All of it, from making the collection to settling it."""
    seconds_encoding: float = 0.0
    seconds_writing: float = 0.0
    seconds_waiting: float = 0.0
    """How long encoding stood still for the store."""


@dataclass(frozen=True)
class IngestOptions:
    """How one ingest goes."""

    skip_bad: bool = False
    retry: RetryPolicy = DEFAULT_RETRY
    on_progress: Callable[[IngestReport], None] = lambda _: None


class Ingestion:
    """One run. Reads and encodes in the caller's thread, writes in another."""

    def __init__(
        self,
        encoder: TextEncoder,
        contract: EmbeddingContract,
        chunker: Chunker,
        sink: Sink,
        journal: Journal,
        options: IngestOptions,
        *,
        complete: bool,
        check_writer: Callable[[], None] = lambda: None,
    ) -> None:
        """`complete` says that documents that the journal does not know have no chunks in the collection.

        `check_writer` is called before each batch is written, and raises where another journal has taken over.
        """
        self.encoder, self.contract, self.chunker = encoder, contract, chunker
        self.sink, self.journal, self.options, self.complete = sink, journal, options, complete
        self._check_writer = check_writer
        self.report = IngestReport()
        self._queue: Queue[list[tuple[Cut, FloatArray]] | None] = Queue(QUEUED_BATCHES)
        self._failure: BaseException | None = None
        self._counting = threading.Lock()
        self._leftovers = journal.keeps_any()
        self._form = json.dumps(contract.deciding(), sort_keys=True).encode()

    def run(self, documents: Iterable[Document]) -> IngestReport:
        """Ingest `documents`; whatever stops it, what was encoded by then is written and journalled first.

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
        self.journal.forget_kept()
        return self.report

    def _encode_all(self, documents: Iterable[Document]) -> None:
        for batch in batched(self._changed(documents), done=self.journal.expected().whole):
            with self._timed("seconds_encoding"), count_usage() as usage:
                ready, refused = self._encode(batch)
            self.report.tokens += usage.tokens
            with self._timed("seconds_waiting"):
                self._queue.put(ready)
            for error in refused:
                self._refuse(error)
            if self._failure is not None:
                return

    def _changed(self, documents: Iterable[Document]) -> Iterator[Cut]:
        """Documents that the journal does not know in this form, cut into chunks."""
        for document in documents:
            try:
                self._note(document)
                check_document(document)
                digest = self._digest(document)
                known = self.journal.get(document.id)
                if known is None or known.digest != digest:
                    self.sink.check_storable(document)
                    chunks = cut(document, self.chunker)
                    check_chunks(chunks, self.contract.dimensions, self.sink.write_limits)
                    yield Cut(document, chunks, digest)
                    continue
            except DocumentError as error:
                self._refuse(error)
                continue
            self.report.unchanged += 1
            if self.report.unchanged % UNCHANGED_PER_PROGRESS == 0:
                self.options.on_progress(self.report)
        self.options.on_progress(self.report)

    def _note(self, document: Document) -> None:
        """Remember that it came by, before its content is looked at: what is refused is not pruned."""
        try:
            check_id(document)
        except DocumentError:
            if isinstance(document, Document) and isinstance(document.id, str) and is_text(document.id):
                self.journal.note(document.id)  # of an earlier version, which may have stored it
            raise
        if not self.journal.note(document.id):
            raise DocumentError(
                f"document {document.id!r} came twice in one run: ids must be unique, or one would replace the other; "
                "the first one counts"
            )

    def _digest(self, document: Document) -> bytes:
        parts = (document.text, document.format, json.dumps(dict(document.metadata), sort_keys=True))
        digest = hashlib.blake2b(self._form, digest_size=16)
        for part in parts:
            content = part.encode()
            digest.update(len(content).to_bytes(8))
            digest.update(content)
        return digest.digest()

    def _encode(self, batch: Sequence[Cut]) -> tuple[list[tuple[Cut, FloatArray]], list[DocumentError]]:
        """What can be stored, and the reasons why the rest cannot."""
        known = [(item, self._kept(item)) for item in batch]
        ready = [(item, vectors) for item, vectors in known if vectors is not None]
        refused, fresh = [], []
        for item, result in encode_apart(self.encoder, self.contract, [item for item, own in known if own is None]):
            if isinstance(result, DocumentError):
                refused.append(result)
            else:
                check_vectors(result, self.contract.dimensions)
                fresh.append((item, result))
        self.journal.open_encoded(
            [(cut.document.id, self._reach(cut), spans_digest(cut), vectors.tobytes()) for cut, vectors in fresh]
        )
        return ready + fresh, refused

    def _reach(self, document: Cut) -> int:
        """How many chunks of a document there may be while it is written."""
        unknown = not self.complete and self.journal.get(document.document.id) is None
        return UNKNOWN_CHUNKS if unknown else len(document.chunks)

    def _kept(self, item: Cut) -> FloatArray | None:
        """Vectors that an earlier run encoded and did not get stored."""
        content = self.journal.kept(item.document.id, spans_digest(item)) if self._leftovers else None
        if content is None:
            return None
        vectors = np.frombuffer(content, dtype=np.float32) if content else np.zeros(0, dtype=np.float32)
        return vectors.reshape(len(item.chunks), self.contract.dimensions)

    def _refuse(self, error: DocumentError) -> None:
        if not self.options.skip_bad:
            raise error
        self.report.skipped += 1
        if len(self.report.bad) < BAD_REMEMBERED:
            self.report.bad.append(str(error))

    def _write_all(self) -> None:
        """The writer's thread. After a failure it empties the queue, so that the reader never waits for it."""
        while (batch := self._queue.get()) is not None:
            if self._failure is not None:
                continue
            try:
                with self._timed("seconds_writing"):
                    self._write(batch)
                self.options.on_progress(self.report)
            except BaseException as error:
                self._failure = error

    def _write(self, batch: Sequence[tuple[Cut, FloatArray]]) -> None:
        """New chunks first, then stale ones go: a document stopped in between is there twice in part, never missing.

        The journal has opened these documents before (`_encode`), and closes them here when the store has all.
        """
        self._check_writer()
        chunks = [chunk for item, _ in batch for chunk in item.chunks]
        if chunks:
            vectors = np.concatenate([own for _, own in batch if len(own)])
            self._upsert(list(requests(chunks, vectors, self.sink.write_limits)))
            self.report.bytes += sum(estimated_bytes(chunk, vectors.shape[1]) for chunk in chunks)
        self._delete([Tail(item.document.id, len(item.chunks)) for item, _ in batch if self._may_have_tail(item)])
        self.journal.record([(item.document.id, Entry(item.digest, len(item.chunks))) for item, _ in batch])
        self.report.documents += len(batch)
        self.report.chunks += len(chunks)
        self.report.empty += sum(not item.chunks for item, _ in batch)

    def _upsert(self, parts: Sequence[tuple[Sequence[Chunk], FloatArray]]) -> None:
        """All requests of a batch; some side by side where the store allows it. The first failure is raised."""
        at_once = min(self.sink.write_limits.at_once, len(parts))
        if at_once == 1:
            for part, rows in parts:
                self._repeat(partial(self.sink.upsert, part, rows))
            return
        with ThreadPoolExecutor(at_once, "jina-v3-upsert") as pool:
            for done in [pool.submit(self._repeat, partial(self.sink.upsert, *part)) for part in parts]:
                done.result()

    def _may_have_tail(self, document: Cut) -> bool:
        """Whether older chunks may follow the new ones."""
        known = self.journal.get(document.document.id)
        return known is None or known.chunks > len(document.chunks)

    def prune(self) -> None:
        """Delete the documents that did not come by, stored or refused, in `run`.

        Raises:
            StoreError: the store refused, or stayed busy for too long.
        """
        absent = self.journal.absent()
        while names := list(islice(absent, DELETED_AT_ONCE)):
            delete_documents(self.journal, names, self._delete)
            self.report.pruned += len(names)

    def _delete(self, tails: Sequence[Tail]) -> None:
        if tails:
            self._repeat(partial(self.sink.delete, tails))

    def _repeat(self, call: Callable[[], None]) -> None:
        remedy = "; what was acknowledged is kept, run the same again to go on"
        with_retries(call, self.options.retry, on_retry=self._count_retry, remedy=remedy)

    def _count_retry(self) -> None:
        with self._counting:
            self.report.retried += 1

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self.report, name, getattr(self.report, name) + time.perf_counter() - start)


def spans_digest(cut: Cut) -> bytes:
    """Under which the vectors of `cut` are kept: a chunker that cuts in another way now must not get them."""
    spans = json.dumps([(chunk.start, chunk.end) for chunk in cut.chunks])
    return hashlib.blake2b(cut.digest + spans.encode(), digest_size=16).digest()


def delete_documents(journal: Journal, names: Sequence[str], delete: Callable[[Sequence[Tail]], None]) -> None:
    """Delete whole documents so that the journal is right whatever stops it: opened, deleted, forgotten."""
    journal.open_known(names)
    delete([Tail(name, 0) for name in names])
    journal.forget(names)
