"""Chunks of whole paragraphs and sentences, counted in the model's own tokens."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from .sizes import DEFAULT_CHUNK_TOKENS, SizedText, Sizes, trimmed_spans
from .tokens import TokenCounter, counter_of

SEGMENT_CHARACTERS = 20_000
"""The splitter's time grows with the square of a text without breaks. So it gets longer texts in parts."""
BREAKS = ("\n\n", "\n", ". ", "。", " ")


class SemanticChunker:
    """Largest whole paragraphs, sentences or words that fit `max_tokens`; Markdown by its headings and blocks.

    Sizes are counted by the model's own tokenizer, without specials. Chunks below `min_tokens` are joined with a
    neighbour where they fit together.
    """

    def __init__(
        self, tokenizer_file: Path | TokenCounter, max_tokens: int = DEFAULT_CHUNK_TOKENS, min_tokens: int = 0
    ) -> None:
        counter = tokenizer_file if isinstance(tokenizer_file, TokenCounter) else counter_of(tokenizer_file)
        self._sizes = Sizes(counter, max_tokens, min_tokens)
        release = ".".join(version("semantic-text-splitter").split(".")[:2])
        self.description = f"semantic-text-splitter {release}, {self._sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        sized = self._sizes.of(text)
        kind = MarkdownSplitter if text_format == "markdown" else TextSplitter
        pieces: list[Span] = []
        for begin, end in segments(text):
            splitter = kind.from_callback(_Finder(sized, begin, end).count, self._sizes.max_tokens)
            chunks = splitter.chunk_indices(text[begin:end])
            pieces += [(begin + start, begin + start + len(piece)) for start, piece in chunks if piece]
        # The splitter assumes that a longer text has more tokens. So a piece may be a token too large now and then.
        return sized.joined(
            span
            for piece in pieces
            for span in ([piece] if sized.fits(*piece) else sized.limited(trimmed_spans(text, [piece])))
        )


class _Finder:
    """Counts what the splitter shows of a text. It says no position, so that the piece is looked for."""

    def __init__(self, sized: SizedText, begin: int, end: int) -> None:
        self._sized, self._begin, self._end = sized, begin, end
        self._near = begin

    def count(self, piece: str) -> int:
        """Tokens of a piece. Wherever the same characters stand, they have as many."""
        text, near = self._sized.text, self._near
        if not text.startswith(piece, near):
            near = text.find(piece, near, self._end)
            if near < 0:
                near = text.find(piece, self._begin, self._end)
            self._near = near
        return self._sized.count(near, near + len(piece))


def segments(text: str) -> Iterator[Span]:
    """Consecutive parts of at most `SEGMENT_CHARACTERS`, cut at the strongest break in the later half of each."""
    start = 0
    while len(text) - start > SEGMENT_CHARACTERS:
        end = start + SEGMENT_CHARACTERS
        cuts = (text.rfind(mark, start + SEGMENT_CHARACTERS // 2, end) + len(mark) for mark in BREAKS)
        end = next((cut for cut in cuts if cut > start + SEGMENT_CHARACTERS // 2), end)
        yield start, end
        start = end
    yield start, len(text)
