"""Chunks of whole paragraphs and sentences, counted in the model's own tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from .sizes import DEFAULT_CHUNK_TOKENS, Sizes
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

        def count(text: str) -> int:
            return counter.bounded(text, max_tokens)

        self._splitters: dict[TextFormat, TextSplitter | MarkdownSplitter] = {
            "text": TextSplitter.from_callback(count, max_tokens),
            "markdown": MarkdownSplitter.from_callback(count, max_tokens),
        }
        release = ".".join(version("semantic-text-splitter").split(".")[:2])
        self.description = f"semantic-text-splitter {release}, {self._sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        splitter = self._splitters[text_format]
        pieces = (
            (begin + start, begin + start + len(piece))
            for begin, end in segments(text)
            for start, piece in splitter.chunk_indices(text[begin:end])
            if piece
        )
        return self._sizes.joined(text, self._kept(text, pieces))

    def _kept(self, text: str, pieces: Iterable[Span]) -> Iterator[Span]:
        """The splitter assumes that a longer text has more tokens. So a piece may be a token too large now and then."""
        for start, end in pieces:
            if self._sizes.fits(text, start, end):
                yield start, end
            else:
                yield from self._sizes.limited(text, [(start, end)])


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
