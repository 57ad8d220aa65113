"""The portable filter: what it accepts, what it means, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from jina_v3_connectors.documents import Tail
from jina_v3_connectors.filters import (
    MAX_DEPTH,
    MAX_VALUES,
    All,
    AnyOf,
    Between,
    ChunkNumber,
    DocumentId,
    Equal,
    Native,
    Not,
    as_condition,
    chunks_of,
    parse_filter,
)
from jina_v3_encoder.errors import InvalidInput

DE = Equal("lang", texts=("de",))
ONE, TWO = Equal("a", numbers=(1,)), Equal("b", numbers=(2,))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"lang": "de"}, DE),
        ({"lang": {"eq": "de"}}, DE),
        ({"draft": False}, Equal("draft", flags=(False,))),
        ({"lang": {"in": ["de", "nl", "de"]}}, Equal("lang", texts=("de", "nl"))),
        (
            {"x": {"in": [True, 1, "1", 1.0, 1.5, False]}},
            Equal("x", texts=("1",), numbers=(1, 1.5), flags=(True, False)),
        ),
        ({"lang": {"ne": "de"}}, Not(DE)),
        ({"year": {"gte": 2020}}, Between("year", (("gte", 2020),))),
        ({"year": {"lt": 2.5, "gt": 1.0}}, Between("year", (("gt", 1), ("lt", 2.5)))),
        ({"lang": "de", "year": {"gte": 2020}}, All((DE, Between("year", (("gte", 2020),))))),
        ({"year": {"gte": 1, "ne": 3}}, All((Not(Equal("year", numbers=(3,))), Between("year", (("gte", 1),))))),
        ({"or": [{"a": 1}, {"b": 2}]}, AnyOf((ONE, TWO))),
        ({"not": {"a": 1}}, Not(ONE)),
        ({"author.name": "Ada"}, Equal("author.name", texts=("Ada",))),
        ({"größe": 3}, Equal("größe", numbers=(3,))),
    ],
    ids=str,
)
def test_forms(given: dict[str, Any], wanted: Any) -> None:
    assert parse_filter(given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, True),
        ({"and": []}, True),
        ({"or": []}, False),
        ({"not": {}}, False),
        ({"not": {"or": []}}, True),
        ({"lang": {"in": []}}, False),
        ({"not": {"lang": {"in": []}}}, True),
        ({"a": 1, "lang": {"in": []}}, False),
        ({"or": [{"a": 1}, {}]}, True),
        ({"or": [{"a": 1}, {"or": []}]}, ONE),
        ({"and": [{"a": 1}, {}]}, ONE),
        ({"and": [{"a": 1}]}, ONE),
        ({"and": [{"a": 1}, {"and": [{"b": 2}, {"lang": "de"}]}]}, All((ONE, TWO, DE))),
        ({"or": [{"a": 1}, {"or": [{"b": 2}, {"lang": "de"}]}]}, AnyOf((ONE, TWO, DE))),
        ({"not": {"not": {"a": 1}}}, ONE),
        ({"not": {"a": 1, "b": 2}}, AnyOf((Not(ONE), Not(TWO)))),
        ({"not": {"or": [{"a": 1}, {"b": {"ne": 2}}]}}, All((Not(ONE), TWO))),
        ({"not": {"or": [{"a": 1}, {"not": {"b": 2, "lang": "de"}}]}}, All((Not(ONE), TWO, DE))),
    ],
    ids=str,
)
def test_what_says_nothing_is_folded_and_not_stands_before_comparisons(given: dict[str, Any], wanted: Any) -> None:
    assert parse_filter(given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"document_id": "a"}, DocumentId(("a",))),
        ({"document_id": {"in": ["a", 3, "b", True]}}, DocumentId(("a", "b"))),
        ({"document_id": 3}, False),
        ({"document_id": {"ne": 3}}, True),
        ({"document_id": {"gt": 3}}, False),
        ({"chunk": 2}, ChunkNumber(2, 2)),
        ({"chunk": 2.0}, ChunkNumber(2, 2)),
        ({"chunk": {"ne": 2}}, Not(ChunkNumber(2, 2))),
        ({"chunk": {"in": [3, "3", 1.5, True, 7]}}, AnyOf((ChunkNumber(3, 3), ChunkNumber(7, 7)))),
        ({"chunk": True}, False),
        ({"chunk": 2.5}, False),
        ({"chunk": -1}, False),
        ({"chunk": {"gt": 2}}, ChunkNumber(3)),
        ({"chunk": {"gte": 1.5, "lt": 4}}, ChunkNumber(2, 3)),
        ({"chunk": {"gt": 1.5, "lte": 3.9}}, ChunkNumber(2, 3)),
        ({"chunk": {"lt": 3.5}}, ChunkNumber(0, 3)),
        ({"chunk": {"gt": 2, "lt": 3}}, False),
        ({"chunk": {"gte": 0}}, True),
        ({"chunk": {"lt": 1e300}}, True),
        ({"chunk": {"gt": 1e300}}, False),
        ({"chunk": {"lt": 2**63 - 1}}, ChunkNumber(0, 2**63 - 2)),
        ({"chunk": {"gt": 2**63 - 1}}, False),
    ],
    ids=str,
)
def test_the_hits_own_fields_have_types(given: dict[str, Any], wanted: Any) -> None:
    assert parse_filter(given) == wanted


def test_numbers_without_a_fraction_are_whole_where_they_fit() -> None:
    assert repr(parse_filter({"n": 2020.0})) == repr(Equal("n", numbers=(2020,)))
    assert repr(parse_filter({"n": -0.0})) == repr(Equal("n", numbers=(0,)))
    assert repr(parse_filter({"n": 1e300})) == repr(Equal("n", numbers=(1e300,)))
    assert repr(parse_filter({"n": {"lt": 3.0}})) == repr(Between("n", (("lt", 3),)))


def test_keywords_and_bounds() -> None:
    assert Equal("x", ("a",), (1, 2.5), (True,)).keywords == ["x:a", "x=1", "x=2.5", "x=true"]
    assert Between("x", (("gt", 1),)).keyword == "x#"
    assert ChunkNumber(2).bounds == (("gte", 2),)
    assert ChunkNumber(0, 3).bounds == (("lte", 3),)
    assert ChunkNumber(2, 3).bounds == (("gte", 2), ("lte", 3))


def test_the_tails_of_documents_are_an_ordinary_condition() -> None:
    tail = parse_filter({"document_id": "b", "chunk": {"gte": 2}})
    assert chunks_of([Tail("b", 2)]) == tail
    assert chunks_of([Tail("a", 0)]) == DocumentId(("a",))
    assert chunks_of([Tail("a", 0), Tail("b", 2), Tail("c", 0)]) == AnyOf((DocumentId(("a", "c")), tail))


def test_nothing_to_delete_is_no_condition() -> None:
    with pytest.raises(ValueError, match="two parts or more, got 0"):
        chunks_of([])


def test_no_filter_holds_for_every_chunk_and_a_native_one_is_not_read() -> None:
    native = Native({"$and": []})
    assert as_condition(None) is True
    assert as_condition(native) is native
    assert as_condition({"lang": "de"}) == DE


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
        ({"a": 2**63}, "'a' is compared with an integer past 64 bits .* write it as a float"),
        ({"a": {"gte": -(10**400)}}, "'a' is compared with an integer past 64 bits"),
        ({"a": "x\ud800"}, "'a' is compared with .* holds a lone surrogate and is no text"),
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
