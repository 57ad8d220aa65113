"""The portable filter in Pinecone's words. Pure functions.

There is no `not`, and what a comparison means where the field is absent is nowhere promised. Equality is therefore
looked up among a chunk's terms, which every chunk has; negation is carried down to the comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..filters import OWN_FIELDS, All, AnyOf, Between, Condition, Equal, Native, Not, Value
from ..keywords import number_term, term
from .convert import NUMBER_PREFIX, TERMS

EVERYTHING: dict[str, Any] = {"chunk": {"$gte": 0}}
NOTHING: dict[str, Any] = {"chunk": {"$lt": 0}}
OPPOSITES = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt"}


def expression(condition: Condition, *, holds: bool = True) -> dict[str, Any]:
    """A filter that is true where `condition` holds, or, with `holds` false, where it does not."""
    match condition:
        case All(parts):
            return _joined(parts, "$and" if holds else "$or", holds)
        case AnyOf(parts):
            return _joined(parts, "$or" if holds else "$and", holds)
        case Not(part):
            return expression(part, holds=not holds)
        case Native(value):
            return dict(value)
        case Between():
            return _between(condition, holds)
        case Equal(field, values):
            return _equal(field, values, holds)


def _joined(parts: Sequence[Condition], word: str, holds: bool) -> dict[str, Any]:
    """An empty "and" is true, an empty "or" is false."""
    if not parts:
        return EVERYTHING if word == "$and" else NOTHING
    return {word: [expression(part, holds=holds) for part in parts]}


def _equal(field: str, values: Sequence[Value], holds: bool) -> dict[str, Any]:
    if field in OWN_FIELDS:
        kinds = (str,) if field == "document_id" else (int, float)
        wanted: list[Any] = [value for value in values if isinstance(value, kinds) and not isinstance(value, bool)]
    else:
        field, wanted = TERMS, [term(field, value) for value in values]
    if not wanted:
        return NOTHING if holds else EVERYTHING
    return {field: {"$in" if holds else "$nin": wanted}}


def _between(condition: Between, holds: bool) -> dict[str, Any]:
    if condition.field == "document_id":
        return NOTHING if holds else EVERYTHING
    own = condition.field in OWN_FIELDS
    path = condition.field if own else NUMBER_PREFIX + condition.field
    bounds = {name: getattr(condition, name) for name in OPPOSITES if getattr(condition, name) is not None}
    if holds:
        parts: list[dict[str, Any]] = [{path: {f"${name}": bound}} for name, bound in bounds.items()]
        guard = [] if own else [{TERMS: {"$in": [number_term(condition.field)]}}]
        return {"$and": [*guard, *parts]}
    parts = [{path: {f"${OPPOSITES[name]}": bound}} for name, bound in bounds.items()]
    guard = [] if own else [{TERMS: {"$nin": [number_term(condition.field)]}}]
    return {"$or": [*guard, *parts]}
