"""Documents with their chunks, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..chunking.base import Chunker
from ..document_checks import check_spans
from ..documents import Chunk, Document

BATCH_CHARACTERS = 60_000
BATCH_CHUNKS = 64
"""Enough to fill the encoder's own batches."""
FIRST_CHUNKS = 4
DONE_PER_BATCH = 8
"""A batch is at most this part of what the collection holds already, so that being killed costs little of the work at
any moment; small batches are slower, so they grow fast. They are full after 512 chunks."""


@dataclass(frozen=True)
class Cut:
    """A document, its chunks, and the digest of all that decides what is stored of it."""

    document: Document
    chunks: list[Chunk]
    digest: bytes


def cut(document: Document, chunker: Chunker) -> list[Chunk]:
    """A document's chunks.

    Raises:
        DocumentError: the chunker's spans are no parts of the text in order.
    """
    spans = list(chunker.spans(document.text, document.format))
    check_spans(document, spans)
    return [
        Chunk(document.id, number, start, end, document.text[start:end], document.metadata)
        for number, (start, end) in enumerate(spans)
    ]


def batched(cuts: Iterable[Cut], done: int = 0) -> Iterator[list[Cut]]:
    """Group cut documents; none is divided between batches. Batches grow with the `done` chunks of the collection."""
    batch: list[Cut] = []
    characters = count = 0
    for item in cuts:
        size = len(item.document.text)
        most = min(BATCH_CHUNKS, max(FIRST_CHUNKS, done // DONE_PER_BATCH))
        full = characters + size > BATCH_CHARACTERS or count + len(item.chunks) > most
        if batch and full:
            yield batch
            done += count
            batch, characters, count = [], 0, 0
        batch.append(item)
        characters += size
        count += len(item.chunks)
    if batch:
        yield batch
