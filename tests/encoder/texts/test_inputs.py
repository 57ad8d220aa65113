from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from jina_v3_encoder.errors import InvalidInput, InvalidSpan
from jina_v3_encoder.texts.inputs import as_spans, as_texts


class Title(str):
    """Subclasses of str are str."""


def lines() -> Iterator[str]:
    yield "a"
    yield "b"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("one", ["one"]),
        ("", [""]),
        ([], []),
        (["a", "b"], ["a", "b"]),
        (("a", "b"), ["a", "b"]),
        (lines(), ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        ([Title("a")], ["a"]),
        (dict.fromkeys(["a", "b"]).keys(), ["a", "b"]),
    ],
)
def test_whatever_holds_texts(texts: Any, expected: list[str]) -> None:
    assert as_texts(texts) == expected


@pytest.mark.parametrize("texts", [None, 1, 1.5, True, object(), b"a", bytearray(b"a"), {"a": "b"}])
def test_whatever_does_not(texts: Any) -> None:
    with pytest.raises(InvalidInput, match=f"expected a str or a sequence of str, got {type(texts).__name__}"):
        as_texts(texts)


@pytest.mark.parametrize("element", [None, 1, b"a", ["a"], np.int64(3)])
def test_elements_are_named_by_index_and_type(element: Any) -> None:
    with pytest.raises(InvalidInput, match=f"document 2 must be a str, got {type(element).__name__}"):
        as_texts(["a", "b", element], "document")


def test_one_str_where_several_are_meant() -> None:
    """Iterating it would make a document of every letter."""
    with pytest.raises(InvalidInput, match="expected a sequence of chunks, got one str: wrap it in a list"):
        as_texts("abc", "chunk")


def test_spans_of_each_text() -> None:
    assert as_spans([[(0, 1)], []], ["ab", "c"]) == [[(0, 1)], []]
    assert as_spans((((0, 2),),), ["ab"]) == [[(0, 2)]]


@pytest.mark.parametrize("spans", [None, 3, "ab", b"ab"])
def test_spans_that_are_no_list(spans: Any) -> None:
    with pytest.raises(InvalidInput, match="spans must be a list"):
        as_spans(spans, ["ab"])


@pytest.mark.parametrize("text_spans", [None, 3, "ab"])
def test_spans_of_one_text_that_are_no_list(text_spans: Any) -> None:
    with pytest.raises(InvalidInput, match="document 1: spans must be a list"):
        as_spans([[(0, 1)], text_spans], ["ab", "cd"])


def test_as_many_lists_as_texts() -> None:
    with pytest.raises(InvalidInput, match="got spans for 1 documents, but 2 texts"):
        as_spans([[(0, 1)]], ["ab", "cd"])


def test_spans_are_checked_against_their_own_text() -> None:
    with pytest.raises(InvalidSpan, match=r"document 1, span 0: \(0, 3\) is outside the text of 2 characters"):
        as_spans([[(0, 3)], [(0, 3)]], ["abc", "ab"])
