"""The protocol of chunkers, and the simplest one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat


class Chunker(Protocol):
    """Cuts a text. `description` goes into the contract: the same description must give the same spans."""

    @property
    def description(self) -> str: ...

    def spans(self, text: str, text_format: TextFormat = "text") -> Sequence[Span]:
        """Character spans [start, end) of `text`, in order, none empty."""


class WholeDocument:
    """One chunk per document."""

    description = "whole document"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        return [(0, len(text))] if text.strip() else []
