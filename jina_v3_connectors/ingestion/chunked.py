"""Documents with their chunks and vectors, and the batches in which they are encoded."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jina_v3_encoder.vectors import FloatArray

from ..chunking import Chunker
from ..chunking.checked import checked_cuts
from ..documents import Chunk, Cut, Document

BATCH_CHARACTERS = 60_000
BATCH_CHUNKS = 64
"""Enough to fill the encoder's own batches, unless the chunks are very short."""
MOST_CHUNKS = 256
FIRST_CHUNKS = 4
DONE_PER_BATCH, DONE_PER_LARGE_BATCH = 8, 200
"""A batch is at most this part of what the collection holds already, so that a kill costs little of the work at any
moment. Small batches are slower, so they grow fast: 64 chunks after 512. Larger ones come late: 64 chunks of 30 words
cost a tenth more time than 256."""


@dataclass(frozen=True)
class ChunkedDocument:
    """A document, its chunks, and a digest of everything that decides how it is stored."""

    document: Document
    chunks: list[Chunk]
    digest: bytes

    @property
    def id(self) -> str:
        return self.document.id

    @property
    def vectors_digest(self) -> bytes:
        """The key of its vectors in the journal. It changes with the spans, so other chunks never get these vectors."""
        spans = json.dumps([(chunk.start, chunk.end) for chunk in self.chunks])
        return hashlib.blake2b(self.digest + spans.encode(), digest_size=16).digest()


@dataclass(frozen=True)
class EncodedDocument:
    """A document with a vector for each of its chunks."""

    chunked: ChunkedDocument
    vectors: FloatArray
    kept: bool = False
    """Whether an earlier run encoded it and noted its intent. Then the intent is still in the journal."""


def chunks_of(document: Document, chunker: Chunker) -> list[Chunk]:
    """A document's chunks: its own cuts, or those of the chunker. Each has the metadata of the mark it starts in.

    Raises:
        DocumentError: the spans are not parts of the text, in order.
    """
    cuts = checked_cuts(document, chunker) if document.cuts is None else document.cuts
    starts = [mark.start for mark in document.marks]
    return [
        Chunk(
            document.id,
            number,
            cut.start,
            cut.end,
            document.text[cut.start : cut.end],
            _merged(document, bisect(starts, cut.start), cut),
        )
        for number, cut in enumerate(cuts)
    ]


def _merged(document: Document, marks: int, cut: Cut) -> Mapping[str, Any]:
    """The metadata of a chunk. `marks` is how many marks stand before it or at its start."""
    marked = document.marks[marks - 1].metadata if marks else {}
    return {**document.metadata, **marked, **cut.metadata} if marked or cut.metadata else document.metadata


class Batches:
    """Groups documents in the order they come. No document is divided. Batches grow with the chunks that are done."""

    def __init__(self, done: int = 0) -> None:
        """`done` is the number of chunks that the collection holds already."""
        self._done = done
        self._batch: list[ChunkedDocument] = []
        self._characters = self._chunks = 0

    def add(self, chunked: ChunkedDocument) -> list[ChunkedDocument]:
        """Put a document into the open batch. Where it has no room there, close that batch first and return it.

        Returns an empty list while the batch stays open.
        """
        size = len(chunked.document.text)
        fits = self._characters + size <= BATCH_CHARACTERS and self._chunks + len(chunked.chunks) <= self._most_chunks()
        closed = [] if fits else self.close()
        self._batch.append(chunked)
        self._characters += size
        self._chunks += len(chunked.chunks)
        return closed

    def _most_chunks(self) -> int:
        small = min(BATCH_CHUNKS, max(FIRST_CHUNKS, self._done // DONE_PER_BATCH))
        return max(small, min(MOST_CHUNKS, self._done // DONE_PER_LARGE_BATCH))

    def close(self) -> list[ChunkedDocument]:
        """End the open batch and return it; it may be empty."""
        closed, self._batch = self._batch, []
        self._done += self._chunks
        self._characters = self._chunks = 0
        return closed
