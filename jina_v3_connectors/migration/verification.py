"""Whether the new collection's vectors are those of the old collection's texts: they are encoded again and compared."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from jina_v3_encoder.vectors import FloatArray

from ..connector import VectorConnector
from ..documents import Chunk, Document
from ..errors import DocumentError
from ..ingestion.chunked import ChunkedDocument, EncodedDocument, chunks_of
from ..ingestion.encoding import encode_apart
from .records import Record, Source
from .state import DocumentRows

SAMPLE = 64
LOWEST = 0.999
"""Cosine of a stored vector and the same text's vector. Vectors stored in 16 bits, and other batches, keep above it."""
NAMED = 20
BATCH = 32


class Wrong(NamedTuple):
    """A chunk of the new collection that is not what it should be."""

    document: str
    chunk: int
    reason: str


@dataclass
class Verification:
    """What was compared."""

    documents: int = 0
    chunks: int = 0
    worst: float = 1.0
    """The lowest cosine."""
    wrong: list[Wrong] = field(default_factory=list)
    """The first chunks that differ."""
    wrong_count: int = 0
    all: bool = False
    """Whether every document was compared."""

    @property
    def is_right(self) -> bool:
        return not self.wrong_count

    def refuse(self, document: str, chunk: int, reason: str) -> None:
        self.wrong_count += 1
        if len(self.wrong) < NAMED:
            self.wrong.append(Wrong(document, chunk, reason))


Read = Callable[[Iterable[DocumentRows]], Iterator[Document | DocumentError]]
"""Reads documents of the old collection as they are now."""


def verify(
    rows: Iterator[DocumentRows],
    read: Read,
    target: VectorConnector,
    stored: Source,
    sample: int | None = None,
    *,
    is_waiting: Callable[[str], bool] = lambda _: False,
    key_of: Callable[[Chunk], str] = lambda chunk: str(chunk.id),
) -> Verification:
    """Encode documents again and compare them with what is stored.

    Args:
        rows: All documents of the old collection.
        read: Reads some of them.
        target: The new collection's connector.
        stored: The new collection's records.
        sample: How many documents to compare, None for the usual number, 0 for all. Another choice each time.
        is_waiting: Whether a change of a document waits to be brought over. Such a document may differ.
        key_of: The key of a chunk's record in `stored`.

    Raises:
        StoreError: a store refuses.
    """
    result = Verification(all=sample == 0)
    chosen = rows if sample == 0 else iter(at_random(rows, sample or SAMPLE))
    while part := list(islice(chosen, BATCH)):
        documents = [document for document in read(part) if isinstance(document, Document)]
        _compare(documents, target, stored, result, is_waiting, key_of)
    return result


def at_random(rows: Iterator[DocumentRows], number: int) -> list[DocumentRows]:
    """Each document with the same chance, in one pass (reservoir sampling)."""
    chosen: list[DocumentRows] = []
    for seen, row in enumerate(rows):
        if len(chosen) < number:
            chosen.append(row)
        elif (position := random.randrange(seen + 1)) < number:  # noqa: S311 - no secret
            chosen[position] = row
    return chosen


def _compare(
    documents: Sequence[Document],
    target: VectorConnector,
    stored: Source,
    result: Verification,
    is_waiting: Callable[[str], bool],
    key_of: Callable[[Chunk], str],
) -> None:
    chunked = [ChunkedDocument(document, chunks_of(document, target.chunker), b"") for document in documents]
    keys = [key_of(chunk) for one in chunked for chunk in one.chunks]
    records = {record.key: record for record in stored.read(keys, vectors=True)}
    for encoded in encode_apart(target.encoder, target.contract, chunked):
        if not isinstance(encoded, EncodedDocument):
            continue
        result.documents += 1
        for chunk, vector in zip(encoded.chunked.chunks, encoded.vectors, strict=True):
            result.chunks += 1
            reason = _difference(records.get(key_of(chunk)), chunk.text, vector, result)
            if reason and not is_waiting(chunk.document_id):
                result.refuse(chunk.document_id, chunk.number, reason)


def _difference(record: Record | None, text: str, vector: FloatArray, result: Verification) -> str | None:
    if record is None:
        return "it is not in the new collection"
    if record.text != text:
        return "its text is not that of the old collection"
    if record.vector is None or not np.all(np.isfinite(record.vector)) or not np.any(record.vector):
        return "its vector is zero, or no number"
    cosine = float(record.vector @ vector / (np.linalg.norm(record.vector) * np.linalg.norm(vector)))
    result.worst = min(result.worst, cosine)
    return None if cosine >= LOWEST else f"its vector is not that of its text (cosine {cosine:.4f})"
