"""Renders conditions as Pinecone filters. Pure functions.

Pinecone has no `not`, and does not say what a comparison means if the field is absent. So equality is looked up among a
chunk's terms, which every chunk has. Each comparison has its opposite.
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
    """A filter that is true if `part` holds, or, with `holds` false, if it does not."""
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
