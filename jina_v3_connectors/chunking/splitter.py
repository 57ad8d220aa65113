"""Chunks of whole paragraphs and sentences, counted in the model's own tokens."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat

DEFAULT_CHUNK_TOKENS = 200
SEGMENT_CHARACTERS = 20_000
"""The splitter's time grows with the square of a text without breaks. So it gets longer texts in parts."""
BREAKS = ("\n\n", "\n", ". ", "。", " ")


class SemanticChunker:
    """Largest whole paragraphs, sentences or words that fit `max_tokens`; Markdown by its headings and blocks.

    Sizes are counted by the model's own tokenizer, without specials.
    """

    def __init__(self, tokenizer_file: Path, max_tokens: int = DEFAULT_CHUNK_TOKENS) -> None:
        if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
            raise InvalidInput(f"a chunk must have at least 1 token, got {max_tokens!r}")
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.post_processor = None
        self._splitters: dict[TextFormat, TextSplitter | MarkdownSplitter] = {
            "text": TextSplitter.from_huggingface_tokenizer(tokenizer, max_tokens),
            "markdown": MarkdownSplitter.from_huggingface_tokenizer(tokenizer, max_tokens),
        }
        release = ".".join(version("semantic-text-splitter").split(".")[:2])
        self.description = f"semantic-text-splitter {release}, {max_tokens} tokens"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        splitter = self._splitters[text_format]
        return [
            (begin + start, begin + start + len(piece))
            for begin, end in segments(text)
            for start, piece in splitter.chunk_indices(text[begin:end])
            if piece
        ]


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
