"""The portable filter in Pinecone's words. Pure functions.

There is no `not`, and what a comparison means where the field is absent is nowhere promised. Equality is therefore
looked up among a chunk's terms, which every chunk has; each comparison has its opposite.
"""

from __future__ import annotations

from typing import Any

from ..filters import All, AnyOf, Between, Bounds, ChunkNumber, Comparison, Condition, DocumentId, Equal, Native, Not
from .convert import NUMBER_PREFIX, TERMS

OPPOSITES = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt"}


def expression(condition: Condition) -> dict[str, Any]:
    """A filter that is true where `condition` holds."""
    match condition:
        case All(parts):
            return {"$and": [expression(part) for part in parts]}
        case AnyOf(parts):
            return {"$or": [expression(part) for part in parts]}
        case Not(part):
            return _comparison(part, holds=False)
        case Native(value):
            return dict(value)
        case _:
            return _comparison(condition, holds=True)


def _comparison(part: Comparison, *, holds: bool) -> dict[str, Any]:
    """True where `part` holds, or, with `holds` false, where it does not."""
    among, joint = ("$in", "$and") if holds else ("$nin", "$or")
    match part:
        case DocumentId(ids):
            return {"document_id": {among: list(ids)}}
        case Equal():
            return {TERMS: {among: part.keywords}}
        case ChunkNumber():
            return {joint: _bounds("chunk", part.bounds, holds)}
        case Between(field, bounds):
            return {joint: [{TERMS: {among: [part.keyword]}}, *_bounds(NUMBER_PREFIX + field, bounds, holds)]}


def _bounds(path: str, bounds: Bounds, holds: bool) -> list[dict[str, Any]]:
    return [{path: {f"${operator if holds else OPPOSITES[operator]}": number}} for operator, number in bounds]
