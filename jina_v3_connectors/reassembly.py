"""The text of a document from its chunks, which are all that a store keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jina_v3_encoder.texts.late_chunking import Span

PARAGRAPH = "\n\n"
"""What most likely stood where several characters are missing."""


class Reassembled(NamedTuple):
    """A document's text, and how sure it is."""

    text: str
    exact: bool
    """Whether no gap is longer than the end of a paragraph. Blanks stand for what is missing in longer ones."""
    contradiction: int | None
    """The number of the first chunk that differs from the chunks before it where they overlap."""


def reassemble(
    texts: Sequence[str], spans: Sequence[Span], *, longest_gap: int, filler: str = " "
) -> Reassembled | None:
    """Chunks at their places in the document.

    Chunkers leave out white space only: one missing character is `filler`, more are the end of a paragraph. Before the
    first chunk, blanks keep the places.

    None where the places are not those of the texts: the lengths differ, the chunks are not in order, or more than
    `longest_gap` characters are missing between two.
    """
    parts: list[str] = []
    length, last_start, exact = 0, 0, True
    contradiction: int | None = None
    for number, (text, (start, end)) in enumerate(zip(texts, spans, strict=True)):
        gap = start - length
        if end - start != len(text) or gap > longest_gap or start < last_start:
            return None
        if gap > 0:
            exact = exact and bool(parts) and gap <= len(PARAGRAPH)
            parts.append(filler if gap == 1 else PARAGRAPH.ljust(gap) if parts else " " * gap)
            length = start
        overlap = length - start
        if contradiction is None and overlap and _end(parts, overlap)[: len(text)] != text[:overlap]:
            contradiction = number
        parts.append(text[overlap:])
        length, last_start = max(length, end), start
    return Reassembled("".join(parts), exact, contradiction)


def _end(parts: Sequence[str], length: int) -> str:
    """The last characters of a text in parts, without putting all of it together."""
    last, missing = [], length
    for part in reversed(parts):
        last.append(part)
        missing -= len(part)
        if missing <= 0:
            break
    return "".join(reversed(last))[-length:]
