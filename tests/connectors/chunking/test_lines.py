"""Where the segmenter cuts, and positions as other languages count."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jina_v3_connectors.chunking.lines import Utf16, segments

SENTENCE_END = re.compile(r"[.!?]\s|。.")
TEXTS = st.text(st.sampled_from("ab. \n\t!?。😀"), max_size=60)


@given(TEXTS, st.integers(1, 40))
def test_spans_are_in_order_and_leave_nothing_but_leading_white_space(text: str, most: int) -> None:
    spans = segments(text, most)
    start = len(text) - len(text.lstrip())
    for begin, end in spans:
        assert begin == start
        assert end > begin
        start = end
    assert start == len(text) or not text.strip()


@given(TEXTS, st.integers(1, 40))
@example(". ?", 1)
@example("a. . ?", 1)
def test_a_chunk_past_the_length_is_a_single_sentence(text: str, most: int) -> None:
    """A sentence has something before its full stop, as in the hosted segmenter: a stop at its head ends nothing."""
    for start, end in segments(text, most):
        if end - start > most:
            inside = text[start:end].rstrip()
            assert "\n" not in inside
            assert not SENTENCE_END.search(inside, 1)


@given(TEXTS, st.integers(1, 40))
@example("ab\n", 1)
@example("a. b\n\n", 2)
def test_no_chunk_begins_with_white_space(text: str, most: int) -> None:
    assert not [text[start:end] for start, end in segments(text, most) if text[start].isspace()]


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("", []),
        ("  \n ", []),
        ("one", ["one"]),
        ("one\ntwo", ["one\n", "two"]),
        ("  one\n\n  two  ", ["one\n\n  ", "two  "]),
        ("one\r\ntwo", ["one\r\n", "two"]),
    ],
)
def test_lines(text: str, chunks: list[str]) -> None:
    assert [text[start:end] for start, end in segments(text, 1000)] == chunks


@given(st.text(max_size=40))
def test_positions_are_utf16_code_units(text: str) -> None:
    units = Utf16(text)
    for index in range(len(text) + 1):
        assert units.position(index) == len(text[:index].encode("utf-16-le", "surrogatepass")) // 2


def test_a_wide_character_counts_twice_for_what_follows_only() -> None:
    units = Utf16("a😀b😀c")
    assert [units.position(index) for index in range(6)] == [0, 1, 3, 4, 6, 7]
