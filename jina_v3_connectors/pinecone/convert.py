"""Chunks to Pinecone's flat fields and back. Pure functions.

Pinecone keeps flat metadata only: str, number, bool and lists of str. The whole of a chunk's metadata travels as JSON
in one field; its terms and its numbers, under "meta.", are there to be filtered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..documents import Chunk, Hit
from ..keywords import numbers_of, terms_of
from ..store import FloatArray
from ..stored_chunk import stored_chunk

TERMS = "terms"
NUMBER_PREFIX = "meta."
EVERY_CHUNK = "*"
"""A term that all chunks share, so that no list of terms is empty."""
STORED_FIELDS = ["document_id", "chunk", "start", "end", "text", "metadata"]


def to_fields(chunk: Chunk) -> dict[str, Any]:
    """All but id and vector."""
    numbers = {NUMBER_PREFIX + field: value for field, value in numbers_of(chunk.metadata)}
    return {
        "document_id": chunk.document_id,
        "chunk": chunk.number,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "metadata": json.dumps(dict(chunk.metadata), ensure_ascii=False),
        TERMS: [EVERY_CHUNK, *terms_of(chunk.metadata)],
        **numbers,
    }


def to_hit(record_id: str, score: float, fields: Mapping[str, Any]) -> Hit:
    return Hit(float(score), stored_chunk(record_id, fields))


def shortest(row: FloatArray) -> list[float]:
    """The numbers whose shortest decimal form reads back as the same float32."""
    return [float(str(value)) for value in row]
