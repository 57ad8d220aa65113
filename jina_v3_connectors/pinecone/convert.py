"""Chunks to Pinecone's flat fields. Pure functions.

Pinecone keeps flat metadata only: str, number, bool and lists of str. So the whole metadata of a chunk is JSON in one
field. Its terms, and its numbers under "meta.", are stored beside it for filters.
"""

from __future__ import annotations

import json
from typing import Any

from ..documents import Chunk
from ..keywords import numbers_of, terms_of
from ..stored_chunk import to_payload

TERMS = "terms"
NUMBER_PREFIX = "meta."
EVERY_CHUNK = "*"
"""A term that all chunks share, so that no list of terms is empty."""
STORED_FIELDS = ["document_id", "chunk", "start", "end", "text", "metadata"]


def to_fields(chunk: Chunk) -> dict[str, Any]:
    """All but id and vector."""
    numbers = {NUMBER_PREFIX + field: value for field, value in numbers_of(chunk.metadata)}
    return {
        **to_payload(chunk),
        "metadata": json.dumps(dict(chunk.metadata), ensure_ascii=False),
        TERMS: [EVERY_CHUNK, *terms_of(chunk.metadata)],
        **numbers,
    }
