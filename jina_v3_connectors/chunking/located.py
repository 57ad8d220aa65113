"""Chunks that another library cut, turned back into whole texts with spans, for late chunking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jina_v3_encoder.errors import InvalidInput, InvalidSpan
from jina_v3_encoder.texts.late_chunking import Span

SLACK = 8
"""A chunk may start this many characters after the one before: splitters drop white space between them."""


@dataclass(frozen=True)
class ChunkText:
    """A chunk's text, and where it starts in its document, if its splitter says so."""

    text: str
    start: int | None = None


@dataclass(frozen=True)
class DocumentChunks:
    """A document's text and its chunks: their numbers in the caller's list, and their spans in the text."""

    text: str
    numbers: list[int]
    spans: list[Span]


def locate(text: str, chunks: Sequence[ChunkText]) -> list[Span]:
    """Spans of `chunks`, in reading order, in their document.

    If a chunk names its start and its text is there, that start is used. Otherwise the chunk is searched for after the
    one before it. In repetitive text a chunk occurs many times. Then the last occurrence counts that leaves a gap of at
    most `SLACK` characters after the chunk before.

    Raises:
        InvalidSpan: a chunk does not occur in the text.
    """
    spans: list[Span] = []
    first = end = 0
    for number, chunk in enumerate(chunks):
        start = chunk.start if _is_at(text, chunk) else _find(text, chunk.text, first, end)
        if start is None:
            raise InvalidSpan(
                f"chunk {number} of {len(chunks)} does not occur in its document: {chunk.text!r:.80}; "
                "was it cleaned or rewritten after it was cut?"
            )
        spans.append((start, start + len(chunk.text)))
        first, end = start, start + len(chunk.text)
    return spans


def stitch(chunks: Sequence[ChunkText]) -> tuple[str, list[Span]]:
    """The text that overlapping chunks were cut from, and their spans in it.

    Characters that no chunk covers become spaces.

    Raises:
        InvalidInput: a chunk has no start, or two chunks differ in the characters they share.
    """
    if any(chunk.start is None for chunk in chunks):
        raise InvalidInput("a chunk does not say where it starts in its document")
    base = min((chunk.start or 0 for chunk in chunks), default=0)
    characters = [" "] * max(((chunk.start or 0) - base + len(chunk.text) for chunk in chunks), default=0)
    covered = [False] * len(characters)
    spans: list[Span] = []
    for number, chunk in enumerate(chunks):
        start = (chunk.start or 0) - base
        for position, character in enumerate(chunk.text, start):
            if covered[position] and characters[position] != character:
                raise InvalidInput(
                    f"chunk {number} starts at {chunk.start} and disagrees there with another chunk of its document: "
                    "its offset is wrong, or its text was changed after it was cut"
                )
            characters[position], covered[position] = character, True
        spans.append((start, start + len(chunk.text)))
    return "".join(characters), spans


def _is_at(text: str, chunk: ChunkText) -> bool:
    return chunk.start is not None and chunk.start >= 0 and text.startswith(chunk.text, chunk.start)


def _find(text: str, part: str, first: int, end: int) -> int | None:
    """The last start of `part` between the start of the chunk before and `SLACK` after its end, else the next one."""
    last = text.rfind(part, first, end + SLACK + len(part))
    if last >= 0:
        return last
    later = text.find(part, end)
    return later if later >= 0 else None
