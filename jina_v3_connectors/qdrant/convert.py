"""Chunks to Qdrant payloads and back. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..documents import Chunk, Hit, Tail
from ..filters import All, AnyOf, Between, Condition, Equal

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
    """A hit; what an adopted collection's payload lacks is taken from the point's id and left empty."""
    text = str(payload.get("text", ""))
    chunk = Chunk(
        document_id=str(payload.get(DOCUMENT_KEY, point_id)),
        number=int(payload.get(NUMBER_KEY, 0)),
        start=int(payload.get("start", 0)),
        end=int(payload.get("end", len(text))),
        text=text,
        metadata=payload["metadata"] if isinstance(payload.get("metadata"), Mapping) else {},
    )
    return Hit(float(score), chunk)


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
