"""Chunks to Qdrant payloads and back. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..documents import Chunk, Hit, Tail
from ..filters import All, AnyOf, Between, Condition, Equal
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


def any_tail(tails: Sequence[Tail]) -> Condition:
    """The chunks of all `tails`; whole documents are one list of names, which the index answers at once."""
    names = tuple(tail.document_id for tail in tails if tail.number == 0)
    parts: list[Condition] = [Equal(DOCUMENT_KEY, names)] if names else []
    parts += [
        All((Equal(DOCUMENT_KEY, (tail.document_id,)), Between(NUMBER_KEY, gte=tail.number)))
        for tail in tails
        if tail.number
    ]
    return AnyOf(tuple(parts))
