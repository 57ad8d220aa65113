"""The protocol of chunkers, what they promise, and the simplest one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import Cut, TextFormat


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


@runtime_checkable
class AnnotatingChunker(Chunker, Protocol):
    """A chunker that has something to say of each chunk, which is stored as its metadata."""

    def cuts(self, text: str, text_format: TextFormat = "text") -> Sequence[Cut]:
        """As `spans`, with metadata."""


@runtime_checkable
class WaitingChunker(Chunker, Protocol):
    """A chunker that waits for others, such as a language model."""

    def stop(self, thread: int) -> None:
        """Have a call of the thread with this identifier end with CancelledError, if it waits now."""


def cuts_of(chunker: Chunker, text: str, text_format: TextFormat = "text") -> Sequence[Cut]:
    """What any chunker makes of a text, with the metadata of its chunks where it has some."""
    if isinstance(chunker, AnnotatingChunker):
        return chunker.cuts(text, text_format)
    return [Cut(*span) for span in chunker.spans(text, text_format)]


class WholeDocument:
    """One chunk per document."""

    description = "whole document"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        return [(0, len(text))] if text.strip() else []
