"""Renders conditions as SQL.

A chunk's terms are the keys of one jsonb object with a GIN index. At "year#" it holds the field's number. Every part is
true or false, never null, so `not` is safe.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from ..filters import All, AnyOf, Between, Bounds, ChunkNumber, Condition, DocumentId, Equal, Native, Not
from .layout import storable

SIGNS = {"gt": sql.SQL(">"), "gte": sql.SQL(">="), "lt": sql.SQL("<"), "lte": sql.SQL("<=")}


def where(condition: Condition | None) -> sql.Composable:
    """An expression that holds where `condition` does."""
    match condition:
        case None:
            return sql.SQL("true")
        case All(parts):
            return _joined(" and ", [where(part) for part in parts])
        case AnyOf(parts):
            return _joined(" or ", [where(part) for part in parts])
        case Not(part):
            return sql.SQL("not {}").format(where(part))
        case DocumentId(ids):
            return sql.SQL("document_id = any({})").format(_texts(ids))
        case ChunkNumber():
            return _compared(sql.SQL("chunk"), condition.bounds)
        case Between(_, bounds):
            number = sql.SQL("(terms -> {})::numeric").format(storable(condition.keyword))
            return sql.SQL("coalesce({}, false)").format(_compared(number, bounds))
        case Equal():
            return sql.SQL("terms ?| {}").format(_texts(condition.keywords))
        case Native(value):
            return sql.SQL("({})").format(value if isinstance(value, sql.Composable) else sql.SQL(str(value)))


def _compared(value: sql.Composable, bounds: Bounds) -> sql.Composable:
    return _joined(" and ", [sql.SQL("{} {} {}").format(value, SIGNS[sign], number) for sign, number in bounds])


def _joined(word: str, parts: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(word).join(parts))


def _texts(values: Sequence[str]) -> sql.Literal:
    return sql.Literal([storable(value) for value in values])
