"""Conditions on metadata in one small form for every backend.

    {"lang": "de"}                                    equal
    {"lang": "de", "year": {"gte": 2020, "lt": 2024}}  all of them
    {"lang": {"in": ["de", "nl"]}}                     one of these values
    {"or": [{"lang": "de"}, {"not": {"draft": True}}]}

Operators: eq, ne, in, gt, gte, lt, lte; the last four for numbers. "author.name" looks inside a nested object; the
fields "document_id" and "chunk" are the hit's own. A field that holds a list equals each of its elements; whether gt,
gte, lt and lte look into lists is the backend's choice. A field that is not there matches nothing, so its "ne" and
"not" match. `Native` passes a backend's own filter through.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jina_v3_encoder.errors import InvalidInput

ORDER = ("gt", "gte", "lt", "lte")
OPERATORS = ("eq", "ne", "in", *ORDER)
JOINTS = ("and", "or", "not")
OWN_FIELDS = ("document_id", "chunk")
FIELD = re.compile(r"[\w-]+(\.[\w-]+)*")
MAX_DEPTH = 16
MAX_VALUES = 1000

Value: TypeAlias = str | int | float | bool


@dataclass(frozen=True)
class Equal:
    """The field, or an element of it, is one of `values`."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Between:
    """The field, or an element of it, is a number within these bounds; None is no bound."""

    field: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True)
class All:
    """Every part holds; true for none."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds; false for none."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Condition


@dataclass(frozen=True)
class Native:
    """A filter in the backend's own form: Qdrant's `models.Filter`, Milvus' expression, Pinecone's dict."""

    value: Any


Condition: TypeAlias = "Equal | Between | All | AnyOf | Not | Native"
Filter: TypeAlias = "Mapping[str, object] | Native"


def as_condition(filter: Filter) -> Condition:  # noqa: A002 - the argument's public name
    """What a caller gave as a filter.

    Raises:
        InvalidInput: see `parse_filter`.
    """
    return filter if isinstance(filter, Native) else parse_filter(filter)


def parse_filter(filter: Mapping[str, object], depth: int = 0) -> Condition:  # noqa: A002 - the argument's public name
    """Check and read a filter.

    Raises:
        InvalidInput: not of the form above; the message names the part.
    """
    if not isinstance(filter, Mapping):
        raise InvalidInput(f"a filter must be a mapping such as {{'lang': 'de'}}, got {filter!r:.200}")
    if depth > MAX_DEPTH:
        raise InvalidInput(f"a filter may be nested {MAX_DEPTH} deep at most")
    parts = tuple(_part(name, value, depth) for name, value in filter.items())
    return parts[0] if len(parts) == 1 else All(parts)


def _part(name: object, value: object, depth: int) -> Condition:
    if name in JOINTS:
        return _joint(str(name), value, depth)
    if not isinstance(name, str) or not FIELD.fullmatch(name):
        raise InvalidInput(
            f"filter field {name!r:.200} must be letters, digits, '_' or '-', with '.' between the levels of an object"
        )
    if not isinstance(value, Mapping):
        return Equal(name, (_value(name, value),))
    if not value:
        raise InvalidInput(f"filter field {name!r} has no operator: use one of {', '.join(OPERATORS)}")
    parts = [_operation(name, operator, given) for operator, given in value.items() if operator not in ORDER]
    bounds = {operator: _number(name, operator, value[operator]) for operator in ORDER if operator in value}
    if bounds:
        parts.append(Between(name, **bounds))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _joint(name: str, value: object, depth: int) -> Condition:
    if name == "not":
        return Not(parse_filter(value, depth + 1))  # type: ignore[arg-type]  # checked there
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InvalidInput(f"{name!r} joins a list of filters, got {value!r:.200}")
    if len(value) > MAX_VALUES:
        raise InvalidInput(f"{name!r} joins {MAX_VALUES} filters at most, got {len(value)}")
    parts = tuple(parse_filter(part, depth + 1) for part in value)
    return All(parts) if name == "and" else AnyOf(parts)


def _operation(field: str, operator: object, value: object) -> Condition:
    if operator == "eq":
        return Equal(field, (_value(field, value),))
    if operator == "ne":
        return Not(Equal(field, (_value(field, value),)))
    if operator == "in":
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_VALUES:
            raise InvalidInput(f"{field!r}: 'in' takes a list of up to {MAX_VALUES} values, got {value!r:.200}")
        return Equal(field, tuple(_value(field, item) for item in value))
    raise InvalidInput(f"{field!r}: unknown operator {operator!r:.200}, use one of {', '.join(OPERATORS)}")


def _value(field: str, value: object) -> Value:
    if not isinstance(value, str | int | float | bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise InvalidInput(f"{field!r} can be compared with a str, a finite number or a bool, got {value!r:.200}")
    return value


def _number(field: str, operator: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(f"{field!r}: {operator!r} takes a finite number, got {value!r:.200}")
    return value
