"""Late chunking of chunks that another library cut: back to whole texts with spans, whatever is known of each chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jina_v3_encoder.errors import InvalidInput, InvalidSpan
from jina_v3_encoder.texts.late_chunking import Span

SLACK = 8
"""Characters that a chunk may start after the end of the one before: splitters drop white space between them."""


@dataclass(frozen=True)
class Piece:
    """A chunk's text, and where it starts in its document, if its splitter says so."""

    text: str
    start: int | None = None


@dataclass(frozen=True)
class DocumentChunks:
    """A document's text and its chunks: their numbers in the caller's list, and their spans in the text."""

    text: str
    numbers: list[int]
    spans: list[Span]


def locate(text: str, pieces: Sequence[Piece]) -> list[Span]:
    """Spans of `pieces`, in reading order, in their document.

    A start that is told and true is taken; otherwise the piece is looked for behind the one before it. In repetitive
    text a piece occurs many times: the last place that leaves no more than white space behind the piece before is it.

    Raises:
        InvalidSpan: a piece does not occur in the text.
    """
    spans: list[Span] = []
    first = end = 0
    for number, piece in enumerate(pieces):
        start = piece.start if _is_at(text, piece) else _find(text, piece.text, first, end)
        if start is None:
            raise InvalidSpan(
                f"chunk {number} of {len(pieces)} does not occur in its document: {piece.text!r:.80}; "
                "was it cleaned or rewritten after it was cut?"
            )
        spans.append((start, start + len(piece.text)))
        first, end = start, start + len(piece.text)
    return spans


def stitch(pieces: Sequence[Piece]) -> tuple[str, list[Span]]:
    """The text that overlapping pieces were cut from, as far as they cover it, and their spans in it.

    What lies between two pieces is not known and becomes spaces.

    Raises:
        InvalidInput: a piece has no start, or two disagree about the characters they share.
    """
    if any(piece.start is None for piece in pieces):
        raise InvalidInput("a chunk does not say where it starts in its document")
    base = min((piece.start or 0 for piece in pieces), default=0)
    characters = [" "] * max(((piece.start or 0) - base + len(piece.text) for piece in pieces), default=0)
    covered = [False] * len(characters)
    spans: list[Span] = []
    for number, piece in enumerate(pieces):
        start = (piece.start or 0) - base
        for position, character in enumerate(piece.text, start):
            if covered[position] and characters[position] != character:
                raise InvalidInput(
                    f"chunk {number} starts at {piece.start} and disagrees there with another chunk of its document: "
                    "its offset is wrong, or its text was changed after it was cut"
                )
            characters[position], covered[position] = character, True
        spans.append((start, start + len(piece.text)))
    return "".join(characters), spans


def _is_at(text: str, piece: Piece) -> bool:
    return piece.start is not None and piece.start >= 0 and text.startswith(piece.text, piece.start)


def _find(text: str, part: str, first: int, end: int) -> int | None:
    """The last place of `part` between the start of the piece before and `SLACK` behind its end, else the next one."""
    last = text.rfind(part, first, end + SLACK + len(part))
    if last >= 0:
        return last
    later = text.find(part, end)
    return later if later >= 0 else None
