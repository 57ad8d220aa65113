"""What a condition in normal form says of one chunk, for test doubles of stores."""

from __future__ import annotations

from typing import Any

from jina_v3_connectors.documents import Chunk
from jina_v3_connectors.filters import All, AnyOf, Between, ChunkNumber, Condition, DocumentId, Equal, Native, Not
from jina_v3_connectors.keywords import numbers_of, terms_of

COMPARE: dict[str, Any] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def matches(condition: Condition, chunk: Chunk) -> bool:
    match condition:
        case All(parts):
            return all(matches(part, chunk) for part in parts)
        case AnyOf(parts):
            return any(matches(part, chunk) for part in parts)
        case Not(part):
            return not matches(part, chunk)
        case DocumentId(ids):
            return chunk.document_id in ids
        case ChunkNumber():
            return all(COMPARE[operator](chunk.number, bound) for operator, bound in condition.bounds)
        case Equal():
            return not set(condition.keywords).isdisjoint(terms_of(chunk.metadata))
        case Between(field, bounds):
            number = dict(numbers_of(chunk.metadata)).get(field)
            return number is not None and all(COMPARE[operator](number, bound) for operator, bound in bounds)
        case Native():
            raise AssertionError("a dictionary has no filters of its own")
