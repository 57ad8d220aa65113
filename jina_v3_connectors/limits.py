"""What one request and one point of a store may hold, and what a vector must be to be stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jina_v3_encoder.errors import InvalidInput, InvalidVector
from jina_v3_encoder.vectors import FloatArray

from .documents import Chunk
from .errors import DocumentError
from .keywords import terms_of

VECTOR_NUMBER_BYTES = 13
"""The longest float32, in its shortest exact decimal form and with a comma, has about this many characters."""
POINT_BYTES = 300
UNIT_TOLERANCE = 1e-3


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
    """Bytes of one chunk's metadata as JSON."""
    terms: int | None = None
    """Different values in its metadata, see `terms`."""


def check_chunks(chunks: Sequence[Chunk], dimensions: int, limits: WriteLimits) -> None:
    """Check that each chunk can be stored.

    Raises:
        DocumentError: one is over a limit of the store.
    """
    checked: Mapping[str, Any] | None = None
    for chunk in chunks:
        if chunk.metadata is not checked:  # the chunks of most documents share one object
            _check_metadata(chunk, limits)
            checked = chunk.metadata
        if limits.text_bytes is not None:
            text = len(chunk.text.encode("utf-8", "replace"))
            _check_size(chunk, "has {} bytes of text", text, limits.text_bytes, "use smaller chunks")
        size = estimated_bytes(chunk, dimensions)
        _check_size(chunk, "takes about {} bytes", size, limits.bytes, "use smaller chunks, or less metadata")


def _check_metadata(chunk: Chunk, limits: WriteLimits) -> None:
    remedy = "keep less in the document's metadata"
    if limits.metadata_bytes is not None:
        metadata = json.dumps(dict(chunk.metadata), ensure_ascii=False).encode("utf-8", "replace")
        _check_size(chunk, "keeps {} bytes of metadata", len(metadata), limits.metadata_bytes, remedy)
    if limits.terms is not None:
        terms = len(terms_of(chunk.metadata))
        _check_size(chunk, "keeps {} different values in its metadata", terms, limits.terms, remedy)


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
    """Cut rows into requests within `limits`. Each single row fits, see `check_chunks`."""
    start = size = 0
    for row, chunk in enumerate(chunks):
        chunk_size = estimated_bytes(chunk, vectors.shape[1])
        if row > start and (row - start >= limits.rows or size + chunk_size > limits.bytes):
            yield chunks[start:row], vectors[start:row]
            start, size = row, 0
        size += chunk_size
    if start < len(chunks):
        yield chunks[start:], vectors[start:]


def check_limit(limit: object) -> None:
    """Check how many hits a search asks for.

    Raises:
        InvalidInput: it is no whole number above 0.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidInput(f"limit must be a whole number above 0, got {limit!r}")


def check_vectors(vectors: FloatArray, dimensions: int) -> None:
    """Refuse vectors that must never reach a store.

    Raises:
        InvalidVector: wrong length, NaN, infinite, zero, or not of unit length.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimensions:
        raise InvalidVector(f"vectors have shape {vectors.shape}, the collection stores {dimensions}")
    norms = np.linalg.norm(vectors, axis=1)
    if not np.all(np.abs(norms - 1) < UNIT_TOLERANCE):
        raise InvalidVector(f"vectors have norms from {norms.min()} to {norms.max()}, expected unit length")
