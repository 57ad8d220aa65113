"""The portable filter: what it accepts, what it means, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from jina_v3_connectors.filters import (
    MAX_DEPTH,
    MAX_VALUES,
    All,
    AnyOf,
    Between,
    Equal,
    Not,
    parse_filter,
)
from jina_v3_encoder.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, All(())),
        ({"lang": "de"}, Equal("lang", ("de",))),
        ({"lang": {"eq": "de"}}, Equal("lang", ("de",))),
        ({"draft": False}, Equal("draft", (False,))),
        ({"lang": {"in": ["de", "nl"]}}, Equal("lang", ("de", "nl"))),
        ({"lang": {"in": []}}, Equal("lang", ())),
        ({"lang": {"ne": "de"}}, Not(Equal("lang", ("de",)))),
        ({"year": {"gte": 2020}}, Between("year", gte=2020)),
        ({"year": {"gt": 1, "lt": 2.5}}, Between("year", gt=1, lt=2.5)),
        ({"lang": "de", "year": {"gte": 2020}}, All((Equal("lang", ("de",)), Between("year", gte=2020)))),
        ({"year": {"gte": 1, "ne": 3}}, All((Not(Equal("year", (3,))), Between("year", gte=1)))),
        ({"or": [{"a": 1}, {"b": 2}]}, AnyOf((Equal("a", (1,)), Equal("b", (2,))))),
        ({"and": [{"a": 1}]}, All((Equal("a", (1,)),))),
        ({"or": []}, AnyOf(())),
        ({"not": {"a": 1}}, Not(Equal("a", (1,)))),
        ({"not": {"a": 1, "b": 2}}, Not(All((Equal("a", (1,)), Equal("b", (2,)))))),
        ({"author.name": "Ada"}, Equal("author.name", ("Ada",))),
        ({"größe": 3}, Equal("größe", (3,))),
    ],
    ids=str,
)
def test_forms(given: dict[str, Any], wanted: Any) -> None:
    assert parse_filter(given) == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("lang = de", "a filter must be a mapping"),
        ([{"a": 1}], "a filter must be a mapping"),
        ({3: "x"}, "filter field 3 must be letters"),
        ({"a b": 1}, "filter field 'a b' must be letters"),
        ({"a'; drop": 1}, "must be letters"),
        ({"": 1}, "filter field '' must be letters"),
        ({"a..b": 1}, "must be letters"),
        ({"a": None}, "'a' can be compared with a str, a finite number or a bool, got None"),
        ({"a": [1, 2]}, "'a' can be compared with"),
        ({"a": float("nan")}, "'a' can be compared with"),
        ({"a": {}}, "filter field 'a' has no operator: use one of eq, ne, in, gt"),
        ({"a": {"like": "x"}}, "'a': unknown operator 'like', use one of"),
        ({"a": {"$gte": 3}}, r"unknown operator '\$gte'"),
        ({"a": {"gte": "2020"}}, "'a': 'gte' takes a finite number, got '2020'"),
        ({"a": {"lt": True}}, "'lt' takes a finite number"),
        ({"a": {"lt": float("inf")}}, "'lt' takes a finite number"),
        ({"a": {"in": "de"}}, "'in' takes a list"),
        ({"a": {"in": [None]}}, "can be compared with"),
        ({"a": {"in": list(range(MAX_VALUES + 1))}}, f"up to {MAX_VALUES} values"),
        ({"or": {"a": 1}}, "'or' joins a list of filters"),
        ({"and": "a"}, "'and' joins a list of filters"),
        ({"or": [3]}, "a filter must be a mapping"),
        ({"or": [{"a": 1}] * (MAX_VALUES + 1)}, f"joins {MAX_VALUES} filters at most"),
        ({"not": [{"a": 1}]}, "a filter must be a mapping"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused(given: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_filter(given)


def test_depth_is_bounded() -> None:
    nested: dict[str, Any] = {"a": 1}
    for _ in range(MAX_DEPTH):
        nested = {"not": nested}
    parse_filter(nested)
    with pytest.raises(InvalidInput, match=f"nested {MAX_DEPTH} deep at most"):
        parse_filter({"not": nested})
    for _ in range(100_000):
        nested = {"not": nested}
    with pytest.raises(InvalidInput, match="deep at most"):
        parse_filter(nested)
