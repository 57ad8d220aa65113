"""The protocol of chunkers, what they promise, and the simplest one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat


class Chunker(Protocol):
    """Cuts a text. `description` goes into the contract: the same description must give the same spans.

    The chunkers of this package promise more, for any text:

    - spans are in order, inside the text, not empty, and overlap only where an overlap was asked for;
    - each character that is not white space is in exactly one of them, or with an overlap in at least one;
    - none has more than `max_tokens` tokens, but for a single character that alone has more;
    - none has fewer than `min_tokens` where it could be joined with a neighbour within `max_tokens`.
    """

    @property
    def description(self) -> str: ...

    def spans(self, text: str, text_format: TextFormat = "text") -> Sequence[Span]:
        """Character spans [start, end) of `text`, in order, none empty."""


class WholeDocument:
    """One chunk per document."""

    description = "whole document"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        return [(0, len(text))] if text.strip() else []
