"""Documents to batches of chunks, and batches to vectors, by the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput, InvalidVector
from jina_v3_encoder.protocol import TextEncoder

from .chunking import Chunker
from .contract import EmbeddingContract
from .documents import Chunk, Document
from .errors import DocumentError

BATCH_CHARACTERS = 60_000
"""Enough tokens to fill the encoder's own batches; few enough that a killed run has little to do again."""
BATCH_CHUNKS = 64
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


def cut(document: Document, chunker: Chunker) -> list[Chunk]:
    """A document's chunks.

    Raises:
        DocumentError: the text holds a lone surrogate, as broken decoders leave them.
    """
    try:
        spans = chunker.spans(document.text, document.format)
    except UnicodeEncodeError as error:
        raise DocumentError(
            f"document {document.id!r}: character {error.start} is a lone surrogate, which is no text: "
            "decode the source again, or replace it"
        ) from error
    return [
        Chunk(document.id, number, start, end, document.text[start:end], document.metadata)
        for number, (start, end) in enumerate(spans)
    ]


def batched(cuts: Iterable[Cut]) -> Iterator[list[Cut]]:
    """Group cut documents; none is divided between batches, and no id comes twice in one."""
    batch: list[Cut] = []
    names: set[str] = set()
    characters = count = 0
    for item in cuts:
        size = len(item.document.text)
        full = characters + size > BATCH_CHARACTERS or count + len(item.chunks) > BATCH_CHUNKS
        if batch and (full or item.document.id in names):
            yield batch
            batch, names, characters, count = [], set(), 0, 0
        batch.append(item)
        names.add(item.document.id)
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


def estimated_bytes(chunk: Chunk, dimensions: int) -> int:
    """An upper estimate of a point as JSON."""
    text = len(chunk.text.encode("utf-8", "replace")) + len(str(chunk.metadata)) + len(chunk.document_id)
    return dimensions * VECTOR_NUMBER_BYTES + 2 * text + POINT_BYTES


def requests(
    chunks: Sequence[Chunk], vectors: FloatArray, limits: WriteLimits
) -> Iterator[tuple[Sequence[Chunk], FloatArray]]:
    """Cut rows into requests within `limits`.

    Raises:
        DocumentError: one chunk alone is over the limit.
    """
    start = size = 0
    for place, chunk in enumerate(chunks):
        own = estimated_bytes(chunk, vectors.shape[1])
        if own > limits.bytes:
            raise DocumentError(
                f"document {chunk.document_id!r}: chunk {chunk.number} with its metadata takes about {own:,} bytes, "
                f"the store accepts {limits.bytes:,}: use smaller chunks, or keep less in its metadata"
            )
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
