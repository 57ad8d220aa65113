"""Chunks to Milvus rows and back. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..documents import Chunk, Hit, Tail
from ..store import FloatArray
from ..terms import terms_of
from .schema import VECTOR

OUTPUT_FIELDS = ["document_id", "chunk", "start", "end", "text", "metadata"]


def to_row(chunk: Chunk, vector: FloatArray) -> dict[str, Any]:
    return {
        "id": str(chunk.id),
        "document_id": chunk.document_id,
        "chunk": chunk.number,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "metadata": dict(chunk.metadata),
        "terms": terms_of(chunk.metadata),
        VECTOR: vector,
    }


def to_hit(score: float, entity: Mapping[str, Any]) -> Hit:
    metadata = entity["metadata"]
    chunk = Chunk(
        document_id=entity["document_id"],
        number=int(entity["chunk"]),
        start=int(entity["start"]),
        end=int(entity["end"]),
        text=entity["text"],
        metadata=json.loads(metadata) if isinstance(metadata, str | bytes) else dict(metadata),
    )
    return Hit(float(score), chunk)


def any_tail(tails: Sequence[Tail]) -> str:
    """An expression for the chunks of all `tails`."""
    names = [tail.document_id for tail in tails if tail.number == 0]
    parts = [f"document_id in {json.dumps(names, ensure_ascii=False)}"] if names else []
    parts += [
        f"(document_id == {json.dumps(tail.document_id, ensure_ascii=False)} and chunk >= {tail.number})"
        for tail in tails
        if tail.number
    ]
    return " or ".join(parts)
