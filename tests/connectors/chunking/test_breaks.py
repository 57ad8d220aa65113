"""Breaks that are found fast are those of the plain rules, written here once more as they are said."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st
from semantic_text_splitter import MarkdownSplitter, TextSplitter

from jina_v3_connectors.chunking import breaks
from jina_v3_connectors.chunking.lines import segments
from jina_v3_connectors.chunking.splitter import SemanticChunker
from jina_v3_connectors.chunking.tokens import counter_of
from jina_v3_connectors.documents import TextFormat
from jina_v3_encoder.encoder import Encoder

from .promise import texts

SENTENCE = re.compile(
    r"""(?<![.!?…‼⁇⁈⁉؟۔।॥])[.!?…‼⁇⁈⁉؟۔।॥]++[)\]}"'”’»›]*+\s++"""
    r"""|(?<![。！？｡．])[。！？｡．]++[」』）】〉》”’\])"']*+\s*+"""
    r"""|\n\s*+""",
)
LINE = re.compile(r"\S[^\n]*(?:\n\s*|\Z)")
LINE_SENTENCE = re.compile(r".+?(?:[.!?]['\")\]]*\s+|[。！？]['\")\]”』」]*\s*|\Z)", re.DOTALL)
STOPS = st.text(st.sampled_from(list("aA.!?…。！？)]\"'」”。 \n\t\u2028７Ⅷⓐeg(éß1")), max_size=40)


def sentence_ends(text: str, start: int, end: int) -> Iterator[int]:
    """A sentence ends with a stop, unless the next begins small, or an abbreviation or an initial stands before."""
    for match in SENTENCE.finditer(text, start, end):
        mark, cut = match.span()
        if not start < cut < end:
            continue
        if text[mark] in ".\n" and text.count("\n", mark, cut) < 2:
            if text[cut].islower():
                continue
            if text[mark] == "." and "\n" not in match[0]:
                words = text[max(start, mark - 7) : mark].rsplit(None, 1)
                word = words[-1].lstrip("([\"'“„«") if words else ""
                if word.lower() in breaks.ABBREVIATIONS or (len(word) == 1 and word.isupper()):
                    continue
        yield cut


@given(text=st.one_of(texts(), STOPS), data=st.data())
@example(text="One . Two 8. Three Ⅷ. Four Ⓐ. Five", data=None)
@example(text=" .  White space alone before a stop", data=None)
def test_sentences(text: str, data: st.DataObject | None) -> None:
    start = data.draw(st.integers(0, len(text))) if data else 0
    end = data.draw(st.integers(start, len(text))) if data else len(text)
    assert list(breaks.sentences(text, start, end)) == list(sentence_ends(text, start, end))


def test_a_stop_behind_small_letters_may_end_an_abbreviation_or_a_part_of_a_word() -> None:
    text = "Ask prof. Alva. She plays the piano. A xprof. Bo is approx. Ten"
    ends = [text.index(next_sentence) for next_sentence in ("She", "A x", "Bo")]
    assert list(breaks.sentences(text, 0, len(text))) == list(sentence_ends(text, 0, len(text))) == ends
    assert list(breaks.sentences("piano. A", 3, 8)) == list(sentence_ends("piano. A", 3, 8)) == []


@given(text=st.one_of(texts(), STOPS), most=st.integers(1, 60))
def test_sentences_of_long_lines(text: str, most: int) -> None:
    wanted: list[tuple[int, int]] = []
    for line in LINE.finditer(text):
        if line.end() - line.start() <= most:
            wanted.append(line.span())
            continue
        first = len(wanted)
        for sentence in LINE_SENTENCE.finditer(text, *line.span()):
            if len(wanted) > first and sentence.end() - wanted[-1][0] <= most:
                wanted[-1] = (wanted[-1][0], sentence.end())
            else:
                wanted.append(sentence.span())
    assert segments(text, most) == wanted


@given(text=texts(), most=st.integers(4, 40), text_format=st.sampled_from(["text", "markdown"]))
def test_the_splitter_is_told_the_same_counts(nano: Encoder, text: str, most: int, text_format: TextFormat) -> None:
    """It shows pieces without their positions, which are looked for in the text that is counted."""
    counter = counter_of(nano.tokenizer_file)
    kind = MarkdownSplitter if text_format == "markdown" else TextSplitter
    plain = [
        (start, start + len(piece))
        for start, piece in kind.from_callback(counter.count, most).chunk_indices(text)
        if piece and counter.count(piece) <= most
    ]
    spans = SemanticChunker(nano.tokenizer_file, most).spans(text, text_format)
    starts = {start for start, _ in spans}
    ends = {end for _, end in spans}
    empty = [span for span in plain if counter.count(text[slice(*span)]) == 0]
    if not empty:  # those are joined with a neighbour
        assert all(start in starts and end in ends for start, end in plain)
