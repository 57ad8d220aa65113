"""Where the hosted segmenter cuts, as its answers show: each line that is not empty, with the white space after it."""

from __future__ import annotations

import re
from bisect import bisect_left

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from .sizes import Sizes, trimmed_spans

DEFAULT_CHARACTERS = 1000
"""Of the hosted segmenter."""

LINE = re.compile(r"\S[^\n]*(?:\n\s*|\Z)")
STOP = re.compile(r"[.!?。！？](?:(?<=[.!?])['\")\]]*\s+|(?<=[。！？])['\")\]”』」]*\s*)")


class LineChunker:
    """A chunk for each line that is not empty, as the hosted segmenter cuts, and none past the largest size.

    A line past `characters` is cut after sentences. What has more tokens than a chunk may have is cut further, which
    the hosted service does not do.
    """

    def __init__(self, sizes: Sizes, characters: int = DEFAULT_CHARACTERS) -> None:
        if characters < 1:
            raise InvalidInput(f"a line must have at least 1 character, got {characters!r}")
        self._sizes, self._characters = sizes, characters
        self.description = f"lines of {characters} characters, {sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        sized = self._sizes.of(text)
        return sized.joined(sized.limited(trimmed_spans(text, segments(text, self._characters))))


def segments(text: str, max_length: int) -> list[Span]:
    """Spans [start, end) in characters; together they hold everything but leading white space.

    A line past `max_length` characters is cut after sentences. A sentence is never cut, so a span may be longer. The
    hosted service does the same.
    """
    return [span for line in LINE.finditer(text) for span in _cut(text, *line.span(), max_length)]


def _cut(text: str, start: int, end: int, max_length: int) -> list[Span]:
    """As many neighbouring sentences together as fit. Stops alone are no sentence: one has a character before them."""
    if end - start <= max_length:
        return [(start, end)]
    spans: list[Span] = []
    after = start
    for stop in STOP.finditer(text, start, end):
        mark, cut = stop.span()
        if mark == after:
            continue
        if cut - start > max_length and after > start:
            spans.append((start, after))
            start = after
        after = cut
    if after < end and end - start > max_length and after > start:
        spans.append((start, after))
        start = after
    return [*spans, (start, end)]


class Utf16:
    """Positions of characters in UTF-16 code units, in which the hosted service and JavaScript count."""

    def __init__(self, text: str) -> None:
        self._wide = [index for index, character in enumerate(text) if ord(character) > 0xFFFF]

    def position(self, character: int) -> int:
        return character + bisect_left(self._wide, character)
