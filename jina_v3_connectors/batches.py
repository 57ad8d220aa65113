"""Documents to batches of chunks, and batches to vectors, by the contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput, InvalidVector
from jina_v3_encoder.protocol import TextEncoder

from .chunking import Chunker
from .contract import EmbeddingContract
from .document_checks import check_spans
from .documents import Chunk, Document
from .errors import DocumentError
from .terms import terms_of

BATCH_CHARACTERS = 60_000
BATCH_CHUNKS = 64
"""Enough to fill the encoder's own batches."""
FIRST_CHUNKS = 4
DONE_PER_BATCH = 8
"""A batch is at most this part of what the collection holds already, so that being killed costs little of the work at
any moment; small batches are slower, so they grow fast. They are full after 512 chunks."""
VECTOR_NUMBER_BYTES = 13
"""A float32 in its shortest exact decimal form, with its comma, is at most about this long."""
POINT_BYTES = 300
UNIT_TOLERANCE = 1e-3

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """A document, its chunks, and the digest of all that decides what is stored of it."""

    document: Document
    chunks: list[Chunk]
    digest: bytes


@dataclass(frozen=True)
class WriteLimits:
    """What one request to a store may hold."""

    rows: int
    bytes: int
    at_once: int = 1
    """Requests of one batch that may be under way together."""
    text_bytes: int | None = None
    """UTF-8 bytes of one chunk's text; None where only the request is limited."""
    metadata_bytes: int | None = None
    """Of its metadata as JSON."""
    terms: int | None = None
    """Different values in its metadata, see `terms`."""


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


def encode_batch(encoder: TextEncoder, contract: EmbeddingContract, batch: Sequence[Cut]) -> list[FloatArray]:
    """Vectors (chunks, dimensions) of each document, by the contract.

    Raises:
        InvalidInput: a document cannot be encoded.
    """
    settings: dict[str, Any] = {
        "task": contract.passage_task,
        "dimensions": contract.dimensions,
        "prompt": contract.prompts,
    }
    if contract.late_chunking:
        spans = [[(chunk.start, chunk.end) for chunk in item.chunks] for item in batch]
        texts = [item.document.text for item in batch]
        settings |= {"window": contract.window, "overlap": contract.overlap}
        return encoder.encode_documents(texts, spans, **settings)
    texts = [chunk.text for item in batch for chunk in item.chunks]
    ends = np.cumsum([len(item.chunks) for item in batch])
    return np.split(encoder.encode(texts, **settings), ends[:-1])


def encode_apart(
    encoder: TextEncoder, contract: EmbeddingContract, batch: Sequence[Cut]
) -> Iterator[tuple[Cut, FloatArray | DocumentError]]:
    """Each document's vectors, or the reason why it has none: one bad document does not spoil its batch."""
    if not batch:
        return
    try:
        yield from zip(batch, encode_batch(encoder, contract, batch), strict=True)
    except InvalidInput as error:
        if len(batch) > 1:
            for item in batch:
                yield from encode_apart(encoder, contract, [item])
        else:
            reason = DocumentError(f"document {batch[0].document.id!r}: {error}")
            reason.__cause__ = error
            yield batch[0], reason


def check_chunks(chunks: Sequence[Chunk], dimensions: int, limits: WriteLimits) -> None:
    """Whether each chunk can be stored.

    Raises:
        DocumentError: one is over a limit of the store.
    """
    if not chunks:
        return
    remedy = "keep less in the document's metadata"
    if limits.metadata_bytes is not None:
        metadata = json.dumps(dict(chunks[0].metadata), ensure_ascii=False).encode("utf-8", "replace")
        _check_size(chunks[0], "keeps {} bytes of metadata", len(metadata), limits.metadata_bytes, remedy)
    if limits.terms is not None:
        terms = len(terms_of(chunks[0].metadata))
        _check_size(chunks[0], "keeps {} different values in its metadata", terms, limits.terms, remedy)
    for chunk in chunks:
        if limits.text_bytes is not None:
            text = len(chunk.text.encode("utf-8", "replace"))
            _check_size(chunk, "has {} bytes of text", text, limits.text_bytes, "use smaller chunks")
        size = estimated_bytes(chunk, dimensions)
        _check_size(chunk, "takes about {} bytes", size, limits.bytes, "use smaller chunks, or less metadata")


def _check_size(chunk: Chunk, what: str, size: int, limit: int, remedy: str) -> None:
    if size > limit:
        raise DocumentError(
            f"document {chunk.document_id!r}: chunk {chunk.number} {what.format(f'{size:,}')}, "
            f"the store accepts {limit:,}: {remedy}"
        )


def estimated_bytes(chunk: Chunk, dimensions: int) -> int:
    """An upper estimate of a point as JSON."""
    text = len(chunk.text.encode("utf-8", "replace")) + len(str(chunk.metadata)) + len(chunk.document_id)
    return dimensions * VECTOR_NUMBER_BYTES + 2 * text + POINT_BYTES


def requests(
    chunks: Sequence[Chunk], vectors: FloatArray, limits: WriteLimits
) -> Iterator[tuple[Sequence[Chunk], FloatArray]]:
    """Cut rows into requests within `limits`; each row alone is, see `check_chunks`."""
    start = size = 0
    for place, chunk in enumerate(chunks):
        own = estimated_bytes(chunk, vectors.shape[1])
        if place > start and (place - start >= limits.rows or size + own > limits.bytes):
            yield chunks[start:place], vectors[start:place]
            start, size = place, 0
        size += own
    if start < len(chunks):
        yield chunks[start:], vectors[start:]


def check_vectors(vectors: FloatArray, dimensions: int) -> None:
    """What must never reach a store.

    Raises:
        InvalidVector: wrong length, NaN, infinite, zero, or not of unit length.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimensions:
        raise InvalidVector(f"vectors have shape {vectors.shape}, the collection stores {dimensions}")
    norms = np.linalg.norm(vectors, axis=1)
    if not np.all(np.abs(norms - 1) < UNIT_TOLERANCE):
        raise InvalidVector(f"vectors have norms from {norms.min()} to {norms.max()}, expected unit length")
