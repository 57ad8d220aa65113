"""Chunks of other libraries, back to spans in whole texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_connectors.chunking.located import ChunkText, locate, stitch
from jina_v3_encoder.errors import InvalidInput, InvalidSpan

TEXT = "One two three. Four five six. Seven eight nine."


@st.composite
def cuts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    """A text, repetitive or not, and overlapping spans that leave no more than one space between them."""
    text = draw(st.text("ab .", min_size=1, max_size=80))
    spans, start = [], 0
    while start < len(text):
        end = min(len(text), start + draw(st.integers(1, 20)))
        spans.append((start, end))
        start = draw(st.integers(max(spans[-1][0] + 1, end - 5), end))
    return text, spans


@given(cuts())
def test_told_starts_are_taken(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, spans = case
    chunks = [ChunkText(text[start:end], start) for start, end in spans]
    assert locate(text, chunks) == spans


@given(cuts())
def test_stitching_is_the_text_again(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, spans = case
    base = 1000
    stitched_text, stitched_spans = stitch([ChunkText(text[start:end], base + start) for start, end in spans])
    assert (stitched_text, stitched_spans) == (text, spans)


def test_chunks_without_starts_are_looked_for_in_order() -> None:
    chunks = [ChunkText("One two three."), ChunkText("Four five six."), ChunkText("five six. Seven eight nine.")]
    assert locate(TEXT, chunks) == [(0, 14), (15, 29), (20, 47)]


def test_wrong_starts_are_not_believed() -> None:
    assert locate(TEXT, [ChunkText("One two three.", 5), ChunkText("Four five six.", -3)]) == [(0, 14), (15, 29)]


def test_repetitive_text_is_covered_from_end_to_end() -> None:
    sentence = "The same again. "
    text = (sentence * 20).strip()
    chunks = [ChunkText((sentence * 4).strip()) for _ in range(5)]
    spans = locate(text, chunks)
    assert spans == [(64 * n, 64 * n + 63) for n in range(5)]


def test_a_chunk_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidSpan, match="chunk 1 of 2 does not occur in its document: 'Eleven'"):
        locate(TEXT, [ChunkText("One two"), ChunkText("Eleven")])


def test_gaps_become_spaces() -> None:
    assert stitch([ChunkText("ab", 0), ChunkText("ef", 4)]) == ("ab  ef", [(0, 2), (4, 6)])
    assert stitch([]) == ("", [])


def test_chunks_that_disagree() -> None:
    with pytest.raises(InvalidInput, match="chunk 1 starts at 1 and disagrees"):
        stitch([ChunkText("abc", 0), ChunkText("xyz", 1)])
    with pytest.raises(InvalidInput, match="does not say where it starts"):
        stitch([ChunkText("abc", 0), ChunkText("xyz")])
