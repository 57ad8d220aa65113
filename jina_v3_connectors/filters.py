"""Conditions on metadata in one small form for every backend.

    {"lang": "de"}                                    equal
    {"lang": "de", "year": {"gte": 2020, "lt": 2024}}  all of them
    {"lang": {"in": ["de", "nl"]}}                     one of these values
    {"or": [{"lang": "de"}, {"not": {"draft": True}}]}

Operators: eq, ne, in, gt, gte, lt, lte; the last four for numbers. "author.name" looks inside a nested object; the
fields "document_id" and "chunk" are the hit's own. A field that holds a list equals each of its elements. Whether gt,
gte, lt and lte look into lists depends on the backend. An absent field
matches nothing, so its "ne" and "not" match. `Native` passes a backend's own filter through.

A backend gets the normal form of this, a `Condition`. It is checked and has few shapes. Joints have two parts or more.
`Not` stands before one comparison only. Every comparison has values, of the type of their field. A filter that holds
for every chunk, or for none, becomes True or False and never reaches a backend.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jina_v3_encoder.errors import InvalidInput

from .document_checks import MAX_INTEGER, MIN_INTEGER, is_text
from .documents import Tail
from .keywords import FIELD, Value, number_term, term

ORDER = ("gt", "gte", "lt", "lte")
OPERATORS = ("eq", "ne", "in", *ORDER)
JOINTS = ("and", "or", "not")
DOCUMENT_ID = "document_id"
CHUNK = "chunk"
MAX_DEPTH = 16
MAX_VALUES = 1000

Bounds: TypeAlias = "tuple[tuple[str, float], ...]"
"""One or more operators of `ORDER` with their numbers, as (("gte", 2020), ("lt", 2024))."""


@dataclass(frozen=True)
class DocumentId:
    """The chunk is of one of these documents."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class ChunkNumber:
    """The chunk's number is from `first` to `last`. With None there is no upper end."""

    first: int = 0
    last: int | None = None

    @property
    def bounds(self) -> Bounds:
        first = (("gte", self.first),) if self.first or self.last is None else ()
        return first if self.last is None else (*first, ("lte", self.last))


@dataclass(frozen=True)
class Equal:
    """The metadata field, or an element of its list, is one of these values. Each kind equals values of its kind only.

    Numbers without a fraction are int.
    """

    field: str
    texts: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    flags: tuple[bool, ...] = ()

    @property
    def keywords(self) -> list[str]:
        """Terms. A chunk matches if, and only if, it has one of these; see `keywords`."""
        values: tuple[Value, ...] = (*self.texts, *self.numbers, *self.flags)
        return [term(self.field, value) for value in values]


@dataclass(frozen=True)
class Between:
    """The metadata field is a number within all of these bounds."""

    field: str
    bounds: Bounds

    @property
    def keyword(self) -> str:
        """The term of all chunks whose field holds a number."""
        return number_term(self.field)


@dataclass(frozen=True)
class Not:
    """The comparison does not hold. This is also true if the field is absent."""

    part: Comparison


@dataclass(frozen=True)
class All:
    """Every part holds."""

    parts: tuple[Portable, ...]

    def __post_init__(self) -> None:
        _check_parts(self.parts)


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Portable, ...]

    def __post_init__(self) -> None:
        _check_parts(self.parts)


@dataclass(frozen=True)
class Native:
    """A filter in the backend's own form: Qdrant's `models.Filter`, Milvus' expression, Pinecone's dict, SQL."""

    value: Any


Comparison: TypeAlias = "DocumentId | ChunkNumber | Equal | Between"
Portable: TypeAlias = "Comparison | Not | All | AnyOf"
Condition: TypeAlias = "Portable | Native"
Filter: TypeAlias = "Mapping[str, object] | Native"


def as_condition(filter: Filter | None) -> Condition | bool:  # noqa: A002 - the argument's public name
    """The condition of a caller's filter; True without a filter.

    Raises:
        InvalidInput: see `parse_filter`.
    """
    if filter is None:
        return True
    return filter if isinstance(filter, Native) else parse_filter(filter)


def parse_filter(filter: Mapping[str, object], depth: int = 0) -> Portable | bool:  # noqa: A002 - the public name
    """The normal form of a filter. True means every chunk, False means no chunk.

    Raises:
        InvalidInput: the filter does not have the form above. The message names the part.
    """
    if not isinstance(filter, Mapping):
        raise InvalidInput(f"a filter must be a mapping such as {{'lang': 'de'}}, got {filter!r:.200}")
    if depth > MAX_DEPTH:
        raise InvalidInput(f"a filter may be nested {MAX_DEPTH} deep at most")
    return _joined(All, (_part(name, value, depth) for name, value in filter.items()))


def chunks_of(tails: Sequence[Tail]) -> Portable:
    """A condition for the chunks of all `tails`, one or more. Whole documents become one list of ids."""
    whole = tuple(tail.document_id for tail in tails if tail.number == 0)
    parts: list[Portable] = [DocumentId(whole)] if whole else []
    parts += [All((DocumentId((tail.document_id,)), ChunkNumber(tail.number))) for tail in tails if tail.number]
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _check_parts(parts: Sequence[Portable]) -> None:
    """Some engines read an empty "or" as true. A delete with it would empty the collection."""
    if len(parts) < 2:
        raise ValueError(f"a joint needs two parts or more, got {len(parts)}")


def _part(name: object, value: object, depth: int) -> Portable | bool:
    if name in JOINTS:
        return _joint(str(name), value, depth)
    if not isinstance(name, str) or not FIELD.fullmatch(name):
        raise InvalidInput(
            f"filter field {name!r:.200} must be letters, digits, '_' or '-', with '.' between the levels of an object"
        )
    if not isinstance(value, Mapping):
        return _equal(name, [_value(name, value)])
    if not value:
        raise InvalidInput(f"filter field {name!r} has no operator: use one of {', '.join(OPERATORS)}")
    parts = [_operation(name, operator, given) for operator, given in value.items() if operator not in ORDER]
    bounds = [(operator, _bound(name, operator, value[operator])) for operator in ORDER if operator in value]
    return _joined(All, [*parts, _between(name, tuple(bounds)) if bounds else True])


def _joint(name: str, value: object, depth: int) -> Portable | bool:
    if name == "not":
        return _opposite(parse_filter(value, depth + 1))  # type: ignore[arg-type]  # checked there
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InvalidInput(f"{name!r} joins a list of filters, got {value!r:.200}")
    if len(value) > MAX_VALUES:
        raise InvalidInput(f"{name!r} joins {MAX_VALUES} filters at most, got {len(value)}")
    parts = [parse_filter(part, depth + 1) for part in value]
    return _joined(All if name == "and" else AnyOf, parts)


def _operation(field: str, operator: object, value: object) -> Portable | bool:
    if operator == "eq":
        return _equal(field, [_value(field, value)])
    if operator == "ne":
        return _opposite(_equal(field, [_value(field, value)]))
    if operator == "in":
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_VALUES:
            raise InvalidInput(f"{field!r}: 'in' takes a list of up to {MAX_VALUES} values, got {value!r:.200}")
        return _equal(field, [_value(field, element) for element in value])
    raise InvalidInput(f"{field!r}: unknown operator {operator!r:.200}, use one of {', '.join(OPERATORS)}")


def _joined(joint: type[All] | type[AnyOf], parts: Iterable[Portable | bool]) -> Portable | bool:
    """The parts as one condition. A part that is True decides an `AnyOf`, one that is False decides an `All`."""
    decisive = joint is AnyOf
    conditions: list[Portable] = []
    for part in parts:
        if isinstance(part, bool):
            if part is decisive:
                return decisive
        elif isinstance(part, joint):
            conditions += part.parts
        else:
            conditions.append(part)
    if len(conditions) > 1:
        return joint(tuple(conditions))
    return conditions[0] if conditions else not decisive


def _opposite(condition: Portable | bool) -> Portable | bool:
    """The opposite of `condition`. "not" moves inwards until it stands before a comparison."""
    match condition:
        case bool():
            return not condition
        case Not(part):
            return part
        case All(parts):
            return _joined(AnyOf, map(_opposite, parts))
        case AnyOf(parts):
            return _joined(All, map(_opposite, parts))
        case _:
            return Not(condition)


def _equal(field: str, values: Sequence[Value]) -> Portable | bool:
    """Each value once; False where the field cannot hold any of them."""
    texts = tuple(dict.fromkeys(value for value in values if isinstance(value, str)))
    flags = tuple(dict.fromkeys(value for value in values if isinstance(value, bool)))
    numbers = tuple(dict.fromkeys(value for value in values if not isinstance(value, str | bool)))
    if field == DOCUMENT_ID:
        return DocumentId(texts) if texts else False
    if field == CHUNK:
        return _joined(AnyOf, [_chunk_number((("gte", number), ("lte", number))) for number in numbers])
    return Equal(field, texts, numbers, flags) if values else False


def _between(field: str, bounds: Bounds) -> Portable | bool:
    if field == DOCUMENT_ID:
        return False
    return _chunk_number(bounds) if field == CHUNK else Between(field, bounds)


def _chunk_number(bounds: Bounds) -> Portable | bool:
    """The whole numbers within `bounds`. Chunks are counted from 0."""
    first, last = 0, MAX_INTEGER
    for operator, number in bounds:
        if operator in ("gt", "gte"):
            first = max(first, math.floor(number) + 1 if operator == "gt" else math.ceil(number))
        else:
            last = min(last, math.ceil(number) - 1 if operator == "lt" else math.floor(number))
    if first > last:
        return False
    if first == 0 and last == MAX_INTEGER:
        return True
    return ChunkNumber(first, None if last == MAX_INTEGER else last)


def _value(field: str, value: object) -> Value:
    if isinstance(value, str):
        if not is_text(value):
            raise InvalidInput(
                f"{field!r} is compared with {value!r:.200}, which holds a lone surrogate and is no text"
            )
        return value
    if isinstance(value, bool):
        return value
    number = _number(field, value)
    if number is None:
        raise InvalidInput(f"{field!r} can be compared with a str, a finite number or a bool, got {value!r:.200}")
    return number


def _bound(field: str, operator: str, value: object) -> float:
    number = _number(field, value)
    if number is None:
        raise InvalidInput(f"{field!r}: {operator!r} takes a finite number, got {value!r:.200}")
    return number


def _number(field: str, value: object) -> float | None:
    """A number as every backend compares it: int if it has no fraction. None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and MIN_INTEGER <= value <= MAX_INTEGER else value
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise InvalidInput(
            f"{field!r} is compared with an integer past 64 bits ({MIN_INTEGER:,} to {MAX_INTEGER:,}), which no "
            "metadata holds: write it as a float"
        )
    return value
