from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_encoder.errors import InvalidInput, InvalidSpan
from jina_v3_encoder.texts.late_chunking import (
    check_spans,
    join_chunks,
    resolve_window,
    token_rows,
    tokens_read,
    windows,
)
from jina_v3_encoder.texts.tokenizer import Tokens


@given(st.integers(1, 5000), st.integers(2, 600), st.integers(0, 599))
def test_windows_use_every_token_once(tokens: int, size: int, overlap: int) -> None:
    if overlap >= size and tokens > size:
        with pytest.raises(InvalidInput, match="must be below the window"):
            windows(tokens, size, overlap)
        return
    plan = windows(tokens, size, overlap)
    assert tokens_read(tokens, size, overlap) == sum(window.end - window.start for window in plan)
    used = [token for window in plan for token in range(window.keep, window.end)]
    assert used == list(range(tokens))
    assert all(window.end - window.start <= size for window in plan)
    assert all(window.keep < window.end for window in plan), "a window that keeps nothing is wasted"
    assert all(later.start == earlier.end - overlap for earlier, later in pairwise(plan))


def test_the_reference_plan() -> None:
    assert windows(8192, 8192, 512) == [(0, 8192, 0)]
    assert tokens_read(8192, 8192, 512) == 8192
    assert tokens_read(8193, 8192, 512) == 8193 + 512
    assert windows(8193, 8192, 512) == [(0, 8192, 0), (7680, 8193, 8192)]
    assert windows(15872, 8192, 512) == [(0, 8192, 0), (7680, 15872, 8192)]


@pytest.mark.parametrize("window", [0, 1, 513, -5, 2.5, True, "9"])
def test_windows_outside_the_model(window: Any) -> None:
    with pytest.raises(InvalidInput, match="window must be a whole number of tokens from 2 to 512"):
        resolve_window(window, 0, 512)


@pytest.mark.parametrize("overlap", [-1, 0.5, True, 100, 200])
def test_overlaps_that_are_no_count_below_the_window(overlap: Any) -> None:
    with pytest.raises(InvalidInput, match=r"overlap must be a whole number of tokens from 0 to 99, below the window"):
        resolve_window(100, overlap, 8192)


def test_defaults_of_window_and_overlap() -> None:
    assert resolve_window(None, None, 8192) == (8192, 512)
    assert resolve_window(100, None, 8192) == (100, 50), "never more than half a window"
    assert resolve_window(100, 99, 8192) == (100, 99)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ((5, 3), "document 4, span 1: start 5 is after end 3"),
        ((-1, 3), r"\(-1, 3\) is outside the text of 10 characters"),
        ((0, 11), r"\(0, 11\) is outside the text of 10 characters"),
        ((1,), "expected"),
        ((1, 2, 3), "expected"),
        (7, "expected"),
        ("ab", "expected"),
        ((0.5, 3), "expected"),
        ((None, 3), "expected"),
        ((True, 3), "expected"),
    ],
)
def test_spans_that_are_wrong(span: Any, words: str) -> None:
    with pytest.raises(InvalidSpan, match=words):
        check_spans([(0, 2), span], 10, 4)


def test_spans_of_numpy_and_lists() -> None:
    assert check_spans(np.array([[0, 2], [2, 10]]), 10, 0) == [(0, 2), (2, 10)]  # type: ignore[arg-type]
    assert check_spans([[0, 2]], 10, 0) == [(0, 2)]  # type: ignore[list-item]


def test_a_separator_belongs_to_the_chunk_after_it() -> None:
    assert join_chunks(["ab", "c", "def"], ", ") == ("ab, c, def", [(0, 2), (2, 5), (5, 10)])
    assert join_chunks([], " ") == ("", [])


@given(st.lists(st.text(max_size=6), min_size=1, max_size=8), st.sampled_from(["", " ", "\n\n"]))
def test_chunks_partition_the_joined_text(chunks: list[str], separator: str) -> None:
    text, spans = join_chunks(chunks, separator)
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == len(text)
    assert all(text[start:end].endswith(chunk) for (start, end), chunk in zip(spans, chunks, strict=True))


def tokens(last: list[int], text_length: int) -> Tokens:
    """A text whose tokens end at `last`; `<s>` and `</s>` around, two prompt tokens first."""
    return Tokens(np.arange(len(last) + 4), np.array([-1, -5, -2, *last, text_length]))


def test_specials_and_prompt_go_to_the_ends() -> None:
    first, second = token_rows(tokens([1, 4, 9], 10), [(0, 5), (5, 10)], 0)
    assert first.tolist() == [0, 1, 2, 3, 4]
    assert second.tolist() == [5, 6]


def test_first_and_last_are_by_position_not_by_order() -> None:
    late, early = token_rows(tokens([1, 4, 9], 10), [(5, 10), (0, 5)], 0)
    assert late.tolist() == [5, 6]
    assert early.tolist() == [0, 1, 2, 3, 4]


def test_a_token_belongs_to_the_span_with_its_last_character() -> None:
    first, second = token_rows(tokens([3, 6], 8), [(0, 5), (5, 8)], 0)
    assert 3 in first
    assert 4 in second


def test_overlaps_share_tokens_and_gaps_drop_them() -> None:
    first, second = token_rows(tokens([1, 3, 5, 9], 10), [(0, 4), (3, 5)], 0)
    assert first.tolist() == [0, 1, 2, 3, 4]
    assert second.tolist() == [4, 7]


@pytest.mark.parametrize("span", [(3, 3), (2, 4)])
def test_spans_without_a_token_are_named(span: tuple[int, int]) -> None:
    with pytest.raises(
        InvalidSpan, match=rf"document 2, span 1: no token ends inside characters \({span[0]}, {span[1]}\)"
    ):
        token_rows(tokens([1, 5, 9], 10), [(0, 10), span], 2)


def test_the_empty_text_is_a_span_of_its_own() -> None:
    (rows,) = token_rows(Tokens(np.array([0, 2]), np.array([-1, 0])), [(0, 0)], 0)
    assert rows.tolist() == [0, 1]
