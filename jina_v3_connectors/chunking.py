"""Text to character spans, behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.late_chunking import Span

from .documents import TextFormat

DEFAULT_CHUNK_TOKENS = 200


class Chunker(Protocol):
    """Cuts a text. `description` goes into the contract: the same description must give the same spans."""

    @property
    def description(self) -> str: ...

    def spans(self, text: str, text_format: TextFormat = "text") -> Sequence[Span]:
        """Character spans [start, end) of `text`, in order, none empty."""


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
        pieces = self._splitters[text_format].chunk_indices(text)
        return [(start, start + len(piece)) for start, piece in pieces if piece]


class WholeDocument:
    """One chunk per document."""

    description = "whole document"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        return [(0, len(text))] if text.strip() else []
