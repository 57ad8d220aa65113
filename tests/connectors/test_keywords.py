"""Terms: one keyword for each value that a filter can ask for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_connectors.keywords import LONGEST, number_term, numbers_of, term, terms_of


@pytest.mark.parametrize(
    ("metadata", "terms"),
    [
        ({}, []),
        ({"lang": "de"}, ["lang:de"]),
        ({"year": 2020}, ["year#", "year=2020"]),
        ({"year": 2020.0}, ["year#", "year=2020"]),
        ({"x": -2.5}, ["x#", "x=-2.5"]),
        ({"draft": True, "old": False}, ["draft=true", "old=false"]),
        ({"tags": ["a", 1, True, None, {"b": 2}]}, ["tags:a", "tags=1", "tags=true"]),
        ({"tags": ["a", "a"]}, ["tags:a"]),
        ({"author": {"name": "Ada", "born": 1815}}, ["author.name:Ada", "author.born#", "author.born=1815"]),
        ({"none": None, "a.b": 1, "a b": 2, "": 3}, []),
        ({"größe": 7}, ["größe#", "größe=7"]),
    ],
    ids=str,
)
def test_terms(metadata: dict[str, Any], terms: list[str]) -> None:
    assert terms_of(metadata) == terms


def test_kinds_never_meet() -> None:
    values: list[Any] = ["1", 1, True, "true", 0, False, "", "1.0", 1.5, "1.5"]
    assert len({term("x", value) for value in values}) == len(values)
    assert term("x", 1) == term("x", 1.0)


def test_long_values_are_hashed_and_still_told_apart() -> None:
    first, second = term("x", "a" * 5000), term("x", "a" * 5000 + "b")
    assert first != second
    assert max(len(first), len(second)) <= LONGEST
    assert term("x" * 400, "y") != term("x" * 400, "z")
    assert term("x", "a" * 5000) == first


scalars = st.one_of(st.text(max_size=300), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.booleans())


@given(scalars, scalars)
def test_terms_are_equal_where_values_are(first: Any, second: Any) -> None:
    alike = first == second and isinstance(first, bool) == isinstance(second, bool)
    assert (term("field", first) == term("field", second)) == alike


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), scalars, max_size=5))
def test_a_field_is_found_by_its_own_value(metadata: dict[str, Any]) -> None:
    terms = terms_of(metadata)
    assert all(term(field, value) in terms for field, value in metadata.items())
    numbers = {
        name for name, value in metadata.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }
    assert {number_term(name) for name in numbers} == {text for text in terms if text.endswith("#") and ":" not in text}


def test_numbers_by_their_dotted_names() -> None:
    metadata = {"n": 1, "deep": {"er": {"x": 2.5}, "text": "no"}, "yes": True, "list": [1], "a.b": 4}
    assert list(numbers_of(metadata)) == [("n", 1), ("deep.er.x", 2.5)]
