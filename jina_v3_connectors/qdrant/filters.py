"""The portable filter in Qdrant's words."""

from __future__ import annotations

from typing import Any

import numpy as np
from qdrant_edge import FieldCondition, Filter, MatchAny, MatchValue, RangeFloat

from ..filters import OWN_FIELDS, All, AnyOf, Between, Condition, Equal, Not, Value

METADATA = "metadata"


def to_filter(condition: Condition) -> Filter:
    """A filter that holds where `condition` does. Qdrant takes an empty `should` for true: nothing is spelled out."""
    match condition:
        case All(parts):
            return Filter(must=[to_filter(part) for part in parts])
        case AnyOf(parts):
            return Filter(should=[to_filter(part) for part in parts]) if parts else _nothing()
        case Not(part):
            return Filter(must_not=[to_filter(part)])
        case Between(field, gt, gte, lt, lte):
            return Filter(must=[FieldCondition(_key(field), range=RangeFloat(gt=gt, gte=gte, lt=lt, lte=lte))])
        case Equal(field, values):
            conditions = _matches(_key(field), values)
            return Filter(should=[*conditions]) if conditions else _nothing()


def _matches(key: str, values: tuple[Value, ...]) -> list[FieldCondition]:
    """One condition for all strings, and one for each other value; numbers match whether stored as int or float."""
    texts = [value for value in values if isinstance(value, str)]
    found = [FieldCondition(key, match=MatchAny(texts))] if texts else []
    for value in values:
        if isinstance(value, bool):
            flag: Any = np.bool_(value)  # the binding takes a plain bool for an int
            found.append(FieldCondition(key, match=MatchValue(flag)))
        elif not isinstance(value, str):
            found.append(FieldCondition(key, range=RangeFloat(gte=value, lte=value)))
    return found


def _key(field: str) -> str:
    if field in OWN_FIELDS:
        return field
    return ".".join([METADATA, *(f'"{part}"' for part in field.split("."))])


def _nothing() -> Filter:
    return Filter(must=[Filter(must_not=[Filter(must=[])])])
