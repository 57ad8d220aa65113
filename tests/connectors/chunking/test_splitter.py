from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.chunking import splitter as module
from jina_v3_connectors.chunking.splitter import SEGMENT_CHARACTERS, SemanticChunker, segments
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

TEXT = "The first sentence is here. The second one follows it.\n\nA new paragraph, 東京です。 With an end 😀."


@pytest.fixture(scope="module")
def chunker(encoder: Encoder) -> SemanticChunker:
    return SemanticChunker(encoder.tokenizer_file, 30)


def test_spans_are_in_order_trimmed_and_within_size(chunker: SemanticChunker, encoder: Encoder) -> None:
    spans = chunker.spans(TEXT)
    pieces = [TEXT[start:end] for start, end in spans]
    assert len(spans) > 1
    assert spans == sorted(spans)
    assert all(piece == piece.strip() for piece in pieces)
    counts = encoder.count_tokens(pieces)
    assert isinstance(counts, list)
    assert max(counts) <= 32
    assert "".join("".join(pieces).split()) == "".join(TEXT.split())


def test_offsets_count_characters_not_bytes(chunker: SemanticChunker) -> None:
    text = "😀é" * 40 + " tail"
    assert text[slice(*chunker.spans(text)[-1])].endswith("tail")


@settings(max_examples=30)
@given(text=st.text(max_size=300))
def test_nothing_but_white_space_is_lost(encoder: Encoder, text: str) -> None:
    spans = SemanticChunker(encoder.tokenizer_file, 8).spans(text)
    covered = {position for start, end in spans for position in range(start, end)}
    assert all(start < end for start, end in spans)
    assert all(not character.strip() for position, character in enumerate(text) if position not in covered)


@pytest.mark.parametrize("text", ["", " ", "\n\n \t"])
def test_blank_texts_have_no_chunk(chunker: SemanticChunker, text: str) -> None:
    assert chunker.spans(text) == []
    assert WholeDocument().spans(text) == []


def test_markdown_keeps_headings_with_their_text(chunker: SemanticChunker) -> None:
    text = "# One\n\nThe first part is about the sea.\n\n# Two\n\nThe second part is about the land and more."
    pieces = [text[start:end] for start, end in chunker.spans(text, "markdown")]
    assert pieces[-1].startswith("# Two")


def test_description_tells_size_and_splitter(chunker: SemanticChunker, encoder: Encoder) -> None:
    assert chunker.description.endswith(", 30 tokens")
    assert chunker.description != SemanticChunker(encoder.tokenizer_file, 31).description


@pytest.mark.parametrize("size", [0, -1, 1.5, "9", True])
def test_sizes_that_are_no_count(encoder: Encoder, size: Any) -> None:
    with pytest.raises(InvalidInput, match="at least 1 token"):
        SemanticChunker(encoder.tokenizer_file, size)


def test_the_whole_document_is_one_chunk() -> None:
    assert WholeDocument().spans("abc") == [(0, 3)]


@pytest.mark.parametrize("unit", ["x", "A sentence of words. ", "A paragraph.\n\n", "長城。", "word "])
def test_segments_partition_long_texts_at_breaks(unit: str) -> None:
    text = unit * (3 * SEGMENT_CHARACTERS // len(unit))
    parts = list(segments(text))
    assert "".join(text[start:end] for start, end in parts) == text
    assert all(0 < end - start <= SEGMENT_CHARACTERS for start, end in parts)
    if unit != "x":
        assert all(text[start:].startswith(unit) for start, _ in parts)


def test_a_text_without_any_break_is_cut_in_bounded_time(
    chunker: SemanticChunker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without segments the time would grow with the square of the length."""
    text = "x" * (2 * SEGMENT_CHARACTERS + 1)
    handed: list[Span] = []

    def noted(whole: str) -> Iterator[Span]:
        for span in segments(whole):
            handed.append(span)
            yield span

    monkeypatch.setattr(module, "segments", noted)
    spans = chunker.spans(text)
    assert [end - start for start, end in handed] == [SEGMENT_CHARACTERS, SEGMENT_CHARACTERS, 1]
    assert "".join(text[start:end] for start, end in spans) == text
