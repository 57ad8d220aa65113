"""The portable filter as a Milvus expression. Pure functions.

Comparisons of JSON values are unknown, not false, where a field is absent or of another type, and Milvus Lite and the
server do not agree on all of it. Equality is therefore looked up among a chunk's terms, and a range counts only where
the terms say that there is a number: every part is true or false, so `not` is safe.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..filters import OWN_FIELDS, All, AnyOf, Between, Condition, Equal, Native, Not, Value
from ..keywords import number_term, term
from .schema import PARTITION

EVERYTHING = 'id != ""'
NOTHING = 'id == ""'
FLAT_PARTS = 8
OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def expression(condition: Condition, partition_key: str | None = None) -> str:
    """An expression that holds where `condition` does; equality of the partition key is also told by its own field."""
    match condition:
        case All(parts):
            return joined("and", [expression(part, partition_key) for part in parts]) if parts else EVERYTHING
        case AnyOf(parts):
            return joined("or", [expression(part, partition_key) for part in parts]) if parts else NOTHING
        case Not(part):
            return f"not ({expression(part, partition_key)})"
        case Native(value):
            return str(value)
        case Between():
            return _between(condition)
        case Equal(field, values):
            if field in OWN_FIELDS:
                return _own(field, values)
            if field == partition_key:
                texts = [value for value in values if isinstance(value, str)]
                return f"{PARTITION} in {_literal(texts)}" if texts else NOTHING
            return _any_of("terms", [term(field, value) for value in values])


def joined(word: str, parts: Sequence[str]) -> str:
    """`parts` with "and" or "or" between them, in parentheses.

    A server reads "a or b or c …" as a nest one deeper for each part, and refuses one of about fifty in a search: so
    many are halved, and halved again.
    """
    if len(parts) > FLAT_PARTS:
        middle = len(parts) // 2
        parts = [joined(word, parts[:middle]), joined(word, parts[middle:])]
    return "(" + f" {word} ".join(parts) + ")"


def _any_of(field: str, texts: Sequence[str]) -> str:
    return f"array_contains_any({field}, {_literal(texts)})" if texts else NOTHING


def _own(field: str, values: Sequence[Value]) -> str:
    kind = str if field == "document_id" else int
    same = [value for value in (_whole(value) for value in values) if type(value) is kind]
    return f"{field} in {_literal(same)}" if same else NOTHING


def _between(condition: Between) -> str:
    if condition.field == "document_id":
        return NOTHING
    own = condition.field in OWN_FIELDS
    path = condition.field if own else "metadata" + "".join(f"[{_literal(p)}]" for p in condition.field.split("."))
    bounds = [(sign, getattr(condition, name)) for name, sign in OPERATORS.items()]
    parts = [f"{path} {sign} {_literal(_whole(bound))}" for sign, bound in bounds if bound is not None]
    if not own:
        parts.insert(0, f"array_contains(terms, {_literal(number_term(condition.field))})")
    return joined("and", parts)


def _whole(value: Value) -> Value:
    """3.0 as 3, which compares with whole numbers everywhere."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
