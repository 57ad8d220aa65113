"""The last stage: all effects of an ingest on the store and the journal, in the order that loses nothing.

A row of the journal is "whole" (its digest says in which form the document is stored) or "open" (chunks up to a number
may be stored, in any form). A run that dies between two effects leaves an open row. The next run writes an open
document again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Protocol

import numpy as np

from jina_v3_encoder.retry import RetryPolicy, with_retries
from jina_v3_encoder.vectors import FloatArray

from ..documents import Chunk, Document, Tail
from ..filters import Condition, chunks_of
from ..limits import WriteLimits, requests
from .chunked import ChunkedDocument, EncodedDocument
from .journal import UNKNOWN_CHUNKS, Entry, Journal
from .report import Tally

DELETED_AT_ONCE = 100


class Sink(Protocol):
    """The part of a store that an ingest uses. A call returns when the store has acknowledged it; see `Store`."""

    write_limits: WriteLimits

    def check_storable(self, document: Document, layout: Any) -> None:
        """Raises DocumentError for a document that this store cannot keep, before anything is encoded."""

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: Any) -> None:
        """Write points by chunk id. Raises StoreBusy if the same call may succeed later."""

    def delete(self, where: Condition) -> None:
        """Delete chunks. Raises as `upsert`."""


class Writing:
    """Writes documents for one run.

    Effects come in this order. Below each stands what is left if the run dies after it.

    1. `intend`: the journal opens the rows and keeps the vectors.
       The store holds the old versions, whole. The next run writes these documents without encoding them again.
    2. `write`, upsert: the store gets the new chunks, in several requests.
       The store holds some old and some new chunks of a document, none is missing. The next run writes it whole; it
       may also have another form by then: chunks up to the row's number are replaced or deleted.
    3. `write`, delete tails: chunks past the new end go.
       The store is right, the rows are open. The next run writes these documents again, which changes nothing.
    4. `write`, record: the journal closes the rows and drops the vectors.
       All is done. The next run takes these documents for unchanged.

    New chunks come before old ones go: stopped in between, a document is there twice in part, never missing.
    """

    def __init__(
        self,
        sink: Sink,
        layout: Any,
        journal: Journal,
        retry: RetryPolicy,
        tally: Tally,
        *,
        complete: bool,
        check_writer: Callable[[], None],
    ) -> None:
        """`complete` and `check_writer` as for `Ingestion`."""
        self._sink, self._layout, self._journal = sink, layout, journal
        self._retry, self._tally = retry, tally
        self._complete, self._check_writer = complete, check_writer

    def intend(self, batch: Sequence[EncodedDocument]) -> None:
        """Note in the journal what will be written. Called before `write`, as soon as vectors are computed."""
        rows = [
            (chunked.id, self._most_chunks(chunked), chunked.vectors_digest, encoded.vectors.tobytes())
            for encoded in batch
            if not encoded.kept
            for chunked in [encoded.chunked]
        ]
        self._journal.open_encoded(rows)

    def write(self, batch: Sequence[EncodedDocument]) -> None:
        """Store documents that `intend` has noted, and close their rows.

        Raises:
            AnotherWriter: another journal has taken over; nothing of the batch is written.
            StoreError: the store refused, or stayed busy for too long.
        """
        self._repeat(self._check_writer)
        documents = [encoded.chunked for encoded in batch]
        chunks = [chunk for chunked in documents for chunk in chunked.chunks]
        if chunks:
            vectors = np.concatenate([encoded.vectors for encoded in batch if len(encoded.vectors)])
            self._upsert(list(requests(chunks, vectors, self._sink.write_limits)))
        self._delete_tails([tail for tail in map(self._old_tail, documents) if tail])
        self._journal.record([(chunked.id, Entry(chunked.digest, len(chunked.chunks))) for chunked in documents])

    def prune(self) -> None:
        """Delete the documents that are not in this run.

        Raises:
            StoreError: the store refused, or stayed busy for too long.
        """
        absent = self._journal.absent()
        while some_ids := list(islice(absent, DELETED_AT_ONCE)):
            delete_documents(self._journal, some_ids, self._delete_tails)
            self._tally.pruned(len(some_ids))

    def _delete_tails(self, tails: Sequence[Tail]) -> None:
        if tails:
            self._repeat(partial(self._sink.delete, chunks_of(tails)))

    def _upsert(self, parts: Sequence[tuple[Sequence[Chunk], FloatArray]]) -> None:
        """Send all requests of a batch, several at a time if the store allows it. Raise the first failure."""
        calls = [partial(self._sink.upsert, chunks, vectors, self._layout) for chunks, vectors in parts]
        at_once = min(self._sink.write_limits.at_once, len(calls))
        if at_once == 1:
            for call in calls:
                self._repeat(call)
            return
        with ThreadPoolExecutor(at_once, "jina-v3-upsert") as pool:
            for done in [pool.submit(self._repeat, call) for call in calls]:
                done.result()

    def _most_chunks(self, chunked: ChunkedDocument) -> int:
        """How many chunks of a document there may be while it is written."""
        may_be_there = not self._complete and self._journal.get(chunked.id) is None
        return UNKNOWN_CHUNKS if may_be_there else len(chunked.chunks)

    def _old_tail(self, chunked: ChunkedDocument) -> Tail | None:
        """The tail: chunks after the new ones, which a longer version may have left."""
        entry, count = self._journal.get(chunked.id), len(chunked.chunks)
        return Tail(chunked.id, count) if entry is None or entry.chunks > count else None

    def _repeat(self, call: Callable[[], None]) -> None:
        remedy = "; what was acknowledged is kept, run the same again to go on"
        with_retries(call, self._retry, on_retry=self._tally.retried, remedy=remedy)


def delete_documents(journal: Journal, document_ids: Sequence[str], delete: Callable[[Sequence[Tail]], None]) -> None:
    """Delete whole documents. Effects come in this order. Below each stands what is left if the run dies after it.

    1. The journal opens their rows.
       The documents are stored. The next ingest writes them again, or deletes them with `prune`.
    2. The store deletes them.
       The rows are open, with nothing stored. The next ingest writes the documents, or deletes them with `prune`.
    3. The journal forgets the rows.
       All is done.
    """
    journal.open_known(document_ids)
    delete([Tail(document_id, 0) for document_id in document_ids])
    journal.forget(document_ids)
