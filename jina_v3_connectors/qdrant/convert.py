"""Chunks to Qdrant points and back. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qdrant_edge import FieldCondition, Filter, MatchValue, Point, Query, QueryRequest, RangeFloat, ScoredPoint

from ..documents import Chunk, Hit
from .schema import VECTOR

DOCUMENT_KEY = "document_id"
NUMBER_KEY = "chunk"


def to_points(chunks: Sequence[Chunk], vectors: NDArray[np.float32]) -> list[Point]:
    return [
        Point(chunk.id, {VECTOR: row}, to_payload(chunk)) for chunk, row in zip(chunks, vectors.tolist(), strict=True)
    ]


def to_payload(chunk: Chunk) -> dict[str, Any]:
    return {
        DOCUMENT_KEY: chunk.document_id,
        NUMBER_KEY: chunk.number,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "metadata": dict(chunk.metadata),
    }


def to_hit(point: ScoredPoint) -> Hit:
    payload = point.payload or {}
    chunk = Chunk(
        document_id=payload[DOCUMENT_KEY],
        number=payload[NUMBER_KEY],
        start=payload["start"],
        end=payload["end"],
        text=payload["text"],
        metadata=payload["metadata"],
    )
    return Hit(float(point.score), chunk)


def nearest_request(vector: NDArray[np.float32], limit: int, allowed: Filter | None = None) -> QueryRequest:
    nearest = Query.Nearest(vector.tolist(), using=VECTOR)
    return QueryRequest(limit=limit, query=nearest, with_payload=True, filter=allowed)


def chunks_from(document_id: str, number: int) -> Filter:
    """The chunks of a document from `number` on."""
    return Filter(
        must=[
            FieldCondition(DOCUMENT_KEY, match=MatchValue(document_id)),
            FieldCondition(NUMBER_KEY, range=RangeFloat(gte=number)),
        ]
    )
