"""The ingest engine: documents in, chunks encoded by document, vectors written, stale chunks removed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.protocol import TextEncoder

from .chunking import Chunker
from .contract import EmbeddingContract
from .documents import Chunk, Document
from .errors import DocumentError

BATCH_CHARACTERS = 200_000
"""Documents encoded and written together: enough tokens to fill batches, few enough to lose little when stopped."""
BATCH_CHUNKS = 512

FloatArray = NDArray[np.float32]


@dataclass
class IngestReport:
    """What an ingest did. `empty` documents held no text and were left out."""

    documents: int = 0
    chunks: int = 0
    empty: int = 0
    seconds_encoding: float = 0.0
    seconds_writing: float = 0.0


@dataclass(frozen=True)
class Batch:
    """Whole documents with all their chunks."""

    documents: list[Document]
    chunks: list[list[Chunk]]


def cut_into_batches(documents: Iterable[Document], chunker: Chunker) -> Iterator[Batch]:
    """Chunk documents and group them; a document is never divided between batches.

    Raises:
        DocumentError: an element is not a Document, or its text is not a str.
    """
    batch, characters, count = Batch([], []), 0, 0
    for document in documents:
        if not isinstance(document, Document) or not isinstance(document.text, str):
            raise DocumentError(f"expected a Document with a str as text, got {document!r:.200}")
        chunks = cut(document, chunker)
        if batch.documents and (
            characters + len(document.text) > BATCH_CHARACTERS or count + len(chunks) > BATCH_CHUNKS
        ):
            yield batch
            batch, characters, count = Batch([], []), 0, 0
        batch.documents.append(document)
        batch.chunks.append(chunks)
        characters += len(document.text)
        count += len(chunks)
    if batch.documents:
        yield batch


def cut(document: Document, chunker: Chunker) -> list[Chunk]:
    spans = chunker.spans(document.text, document.format)
    return [
        Chunk(document.id, number, start, end, document.text[start:end], document.metadata)
        for number, (start, end) in enumerate(spans)
    ]


def encode_batch(encoder: TextEncoder, contract: EmbeddingContract, batch: Batch) -> list[FloatArray]:
    """Vectors (chunks, dimensions) of each document, by the contract.

    Raises:
        DocumentError: a document cannot be encoded; the message holds its id and the reason.
    """
    try:
        return _encode(encoder, contract, batch)
    except InvalidInput as error:
        if len(batch.documents) == 1:
            raise DocumentError(f"document {batch.documents[0].id!r}: {error}") from error
    return [
        vectors
        for document, chunks in zip(batch.documents, batch.chunks, strict=True)
        for vectors in encode_batch(encoder, contract, Batch([document], [chunks]))
    ]


def _encode(encoder: TextEncoder, contract: EmbeddingContract, batch: Batch) -> list[FloatArray]:
    settings: dict[str, Any] = {
        "task": contract.passage_task,
        "dimensions": contract.dimensions,
        "prompt": contract.prompts,
    }
    if contract.late_chunking:
        spans = [[(chunk.start, chunk.end) for chunk in chunks] for chunks in batch.chunks]
        texts = [document.text for document in batch.documents]
        settings |= {"window": contract.window, "overlap": contract.overlap}
        return encoder.encode_documents(texts, spans, **settings)
    texts = [chunk.text for chunks in batch.chunks for chunk in chunks]
    ends = np.cumsum([len(chunks) for chunks in batch.chunks])
    return np.split(encoder.encode(texts, **settings), ends[:-1])


class Stopwatch:
    """Adds the seconds of a block to a field of a report."""

    def __init__(self, report: IngestReport, name: str) -> None:
        self._report, self._name = report, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._start
        setattr(self._report, self._name, getattr(self._report, self._name) + spent)
