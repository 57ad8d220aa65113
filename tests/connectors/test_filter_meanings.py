"""Filters in every backend against their meaning written out in Python."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jina_v3_connectors import Document, VectorConnector, WholeDocument
from jina_v3_connectors.documents import Chunk
from jina_v3_connectors.filters import parse_filter
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import NAMES, backend_named
from ..support.conditions import matches

METADATA: list[dict[str, Any]] = [
    {"lang": "de", "year": 2020, "draft": True},
    {"lang": "nl", "year": 2021.5, "draft": False},
    {"lang": "en", "tags": ["a", "b"], "year": -3},
    {"lang": ["de", "en"], "author": {"name": "Ada", "born": 1815}},
    {"tags": [1, 2, 3], "year": 2020.0},
    {"größe": 7, "two-words": "x", "lang": "de"},
    {"lang": None, "year": "2020"},
    {},
]


@dataclass
class Filled:
    """A collection of `METADATA`, and whether the backend compares the elements of lists."""

    connector: VectorConnector
    looks_into_lists: bool


@pytest.fixture(scope="module", params=NAMES)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, milvus_url: Any
) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("store")
    with (
        backend_named(request.param, folder, milvus_url) as backend,
        backend.connect("docs", chunker=WholeDocument()) as connector,
    ):
        connector.ingest(Document(str(n), f"text {n}", values) for n, values in enumerate(METADATA))
        yield Filled(connector, request.param in ("embedded", "memory", "http"))


def field_values(number: int, field: str) -> list[Any]:
    """What a field holds; a list stands for its elements."""
    if field == "document_id":
        return [str(number)]
    if field == "chunk":
        return [0]
    value: Any = METADATA[number]
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, list) else [value]


def is_list(number: int, field: str) -> bool:
    return isinstance(METADATA[number].get(field), list)


def same(first: Any, second: Any) -> bool:
    """Equal, without taking True for 1."""
    return first == second and isinstance(first, bool) == isinstance(second, bool)


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def holds(filter: Mapping[str, Any], number: int, lists: bool) -> bool:  # noqa: A002
    """What the filter as the caller writes it means, without its normal form."""
    return all(_part(name, value, number, lists) for name, value in filter.items())


def _part(name: str, value: Any, number: int, lists: bool) -> bool:
    if name == "and":
        return all(holds(part, number, lists) for part in value)
    if name == "or":
        return any(holds(part, number, lists) for part in value)
    if name == "not":
        return not holds(value, number, lists)
    operations = dict(value) if isinstance(value, Mapping) else {"eq": value}
    bounds = {OPERATORS[name]: operations.pop(name) for name in OPERATORS if name in operations}
    stored = field_values(number, name)
    within = stored if lists or not is_list(number, name) else []
    numbers = [v for v in within if isinstance(v, int | float) and not isinstance(v, bool)]
    return all(_compared(stored, sign, given) for sign, given in operations.items()) and (
        not bounds or any(all(compare(v, bound) for compare, bound in bounds.items()) for v in numbers)
    )


def _compared(stored: list[Any], sign: str, given: Any) -> bool:
    equal = any(same(value, wanted) for value in stored for wanted in (given if sign == "in" else [given]))
    return not equal if sign == "ne" else equal


def found(store: Filled, filter: dict[str, Any]) -> set[str]:  # noqa: A002
    return {hit.chunk.document_id for hit in store.connector.search("text", limit=50, filter=filter)}


def wanted(filter: dict[str, Any], lists: bool) -> set[str]:  # noqa: A002
    return {str(number) for number in range(len(METADATA)) if holds(filter, number, lists)}


@pytest.mark.parametrize(
    ("filter_", "numbers"),
    [
        ({}, "01234567"),
        ({"lang": "de"}, "035"),
        ({"lang": {"ne": "de"}}, "12467"),
        ({"lang": {"in": ["nl", "en"]}}, "123"),
        ({"lang": {"in": []}}, ""),
        ({"or": []}, ""),
        ({"not": {"or": []}}, "01234567"),
        ({"year": 2020}, "04"),
        ({"year": "2020"}, "6"),
        ({"year": {"gte": 2020}}, "014"),
        ({"year": {"gt": 2020, "lte": 2021.5}}, "1"),
        ({"year": {"lt": 0}}, "2"),
        ({"draft": True}, "0"),
        ({"draft": False}, "1"),
        ({"tags": "b"}, "2"),
        ({"author.name": "Ada"}, "3"),
        ({"author.born": {"lt": 1900}}, "3"),
        ({"größe": 7}, "5"),
        ({"two-words": "x"}, "5"),
        ({"document_id": "4"}, "4"),
        ({"chunk": 0}, "01234567"),
        ({"chunk": {"gt": 0}}, ""),
        ({"lang": "de", "year": {"gte": 2020}}, "0"),
        ({"or": [{"lang": "nl"}, {"tags": 2}]}, "14"),
        ({"not": {"or": [{"lang": "de"}, {"year": {"gte": 0}}]}}, "267"),
        ({"absent": 1}, ""),
        ({"year": {"in": ["2020", 2021.5, True]}}, "16"),
        ({"document_id": {"ne": 4}}, "01234567"),
        ({"not": {"document_id": {"in": ["0", "1"]}, "chunk": {"lt": 5}}}, "234567"),
        ({"year": {"lt": 1e300}}, "0124"),
        ({"not": {"absent": 1}}, "01234567"),
    ],
    ids=str,
)
def test_meanings(store: Filled, filter_: dict[str, Any], numbers: str) -> None:
    assert wanted(filter_, store.looks_into_lists) == set(numbers), "the written-out meaning"
    assert found(store, filter_) == set(numbers)


def test_ranges_over_lists_are_the_backends_choice(store: Filled) -> None:
    assert found(store, {"tags": {"gte": 3}}) == ({"4"} if store.looks_into_lists else set())


VALUES = st.sampled_from(["de", "nl", "a", "2020", "x", "4", 2020, 2021.5, -3, 0, 1, 7, True, False])
NUMBERS = st.sampled_from([-3, -0.5, 0, 1, 2, 2020, 2020.5, 2022])
FIELDS = st.sampled_from(
    ["lang", "year", "draft", "tags", "author.name", "author.born", "größe", "document_id", "chunk", "none"]
)
LEAVES = st.one_of(
    st.builds(lambda field, value: {field: value}, FIELDS, VALUES),
    st.builds(lambda field, value: {field: {"ne": value}}, FIELDS, VALUES),
    st.builds(lambda field, values: {field: {"in": values}}, FIELDS, st.lists(VALUES, max_size=4)),
    st.builds(lambda field, low, high: {field: {"gte": low, "lt": high}}, FIELDS, NUMBERS, NUMBERS),
    st.builds(lambda field, low: {field: {"gt": low, "ne": low}}, FIELDS, NUMBERS),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)


@given(FILTERS)
@settings(max_examples=500)
def test_the_normal_form_means_what_the_filter_says(filter_: dict[str, Any]) -> None:
    condition = parse_filter(filter_)
    for number, metadata in enumerate(METADATA):
        chunk = Chunk(str(number), 0, 0, 1, "x", metadata)
        told = condition if isinstance(condition, bool) else matches(condition, chunk)
        assert told is holds(filter_, number, lists=False)


@given(FILTERS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_backend_agrees_with_the_meaning(store: Filled, filter_: dict[str, Any]) -> None:
    assert found(store, filter_) == wanted(filter_, store.looks_into_lists)


def test_hits_keep_their_order_and_number(store: Filled) -> None:
    search = store.connector.search
    everything = [hit.chunk.document_id for hit in search("text 1", limit=50)]
    some = [hit.chunk.document_id for hit in search("text 1", limit=50, filter={"year": {"gte": -10}})]
    assert some == [name for name in everything if name in some]
    assert len(search("text", limit=1, filter={"lang": "de"})) == 1


def test_search_many_filters_every_query(store: Filled) -> None:
    for hits in store.connector.search_many(["text 1", "other"], limit=10, filter={"lang": "nl"}):
        assert [hit.chunk.document_id for hit in hits] == ["1"]


def test_a_malformed_filter_is_refused_before_anything_is_encoded(tmp_path: Path) -> None:
    class Unasked(FakeEncoder):
        def encode(self, texts: Any, **_: Any) -> Any:
            raise AssertionError("encoded")

    with QdrantConnector(Unasked(), "docs", path=tmp_path) as connector, pytest.raises(InvalidInput, match="like"):
        connector.search("x", filter={"a": {"like": "b"}})
