"""Chunks to Qdrant payloads and back. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..documents import Chunk, Hit
from ..stored_chunk import stored_chunk

VECTOR = "dense"
DOCUMENT_KEY = "document_id"
NUMBER_KEY = "chunk"


def to_payload(chunk: Chunk) -> dict[str, Any]:
    return {
        DOCUMENT_KEY: chunk.document_id,
        NUMBER_KEY: chunk.number,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "metadata": dict(chunk.metadata),
    }


def to_hit(point_id: object, score: float, payload: Mapping[str, Any]) -> Hit:
    return Hit(float(score), stored_chunk(point_id, payload))
