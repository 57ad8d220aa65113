"""Renders conditions as Milvus expressions. Pure functions.

Comparisons of JSON values are unknown, not false, where a field is absent or of another type, and Milvus Lite and the
server do not agree on all of it. Equality is therefore looked up among a chunk's terms, and a range counts only where
the terms say that there is a number: every part is true or false, so `not` is safe.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..filters import All, AnyOf, Between, Bounds, ChunkNumber, Condition, DocumentId, Equal, Native, Not
from .schema import PARTITION

FLAT_PARTS = 8
SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def expression(condition: Condition, partition_key: str | None = None) -> str:
    """An expression that holds if `condition` does. Texts of the partition key are compared in its own field."""
    match condition:
        case All(parts):
            return joined("and", [expression(part, partition_key) for part in parts])
        case AnyOf(parts):
            return joined("or", [expression(part, partition_key) for part in parts])
        case Not(part):
            return f"not ({expression(part, partition_key)})"
        case DocumentId(ids):
            return f"document_id in {_literal(ids)}"
        case ChunkNumber():
            return joined("and", _comparisons("chunk", condition.bounds))
        case Between(field, bounds):
            path = "metadata" + "".join(f"[{_literal(key)}]" for key in field.split("."))
            return joined("and", [f"array_contains(terms, {_literal(condition.keyword)})", *_comparisons(path, bounds)])
        case Equal(field, texts) if field == partition_key and texts:
            return f"{PARTITION} in {_literal(texts)}"
        case Equal():
            return f"array_contains_any(terms, {_literal(condition.keywords)})"
        case Native(value):
            return str(value)


def joined(word: str, parts: Sequence[str]) -> str:
    """`parts` with "and" or "or" between them, in parentheses.

    A server reads "a or b or c …" as a nest one deeper for each part, and refuses one of about fifty in a search: so
    many are halved, and halved again.
    """
    if len(parts) > FLAT_PARTS:
        middle = len(parts) // 2
        parts = [joined(word, parts[:middle]), joined(word, parts[middle:])]
    return "(" + f" {word} ".join(parts) + ")"


def _comparisons(path: str, bounds: Bounds) -> list[str]:
    return [f"{path} {SIGNS[operator]} {_literal(number)}" for operator, number in bounds]


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
