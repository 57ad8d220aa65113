"""Where the hosted segmenter cuts, as its answers show: each line that is not empty, with the white space after it."""

from __future__ import annotations

import re

LINE = re.compile(r"\S[^\n]*(?:\n\s*|\Z)")
SENTENCE = re.compile(r".+?(?:[.!?]['\")\]]*\s+|[。！？]['\")\]”』」]*\s*|\Z)", re.DOTALL)
"""Text and its full stop, so that stops alone are no sentence. With `$`, a last line break would stand alone."""
Span = tuple[int, int]


def segments(text: str, max_length: int) -> list[Span]:
    """Spans [start, end) in characters; together they hold everything but leading white space.

    A line past `max_length` characters is cut after sentences. A sentence is never cut, so a span may be longer. The
    hosted service does the same.
    """
    return [span for line in LINE.finditer(text) for span in _cut(text, *line.span(), max_length)]


def _cut(text: str, start: int, end: int, max_length: int) -> list[Span]:
    if end - start <= max_length:
        return [(start, end)]
    spans: list[Span] = []
    for sentence in SENTENCE.finditer(text, start, end):
        if spans and sentence.end() - spans[-1][0] <= max_length:
            spans[-1] = (spans[-1][0], sentence.end())
        elif sentence.end() > sentence.start():
            spans.append(sentence.span())
    return spans


class Utf16:
    """Positions of characters in UTF-16 code units, in which the hosted service and JavaScript count."""

    def __init__(self, text: str) -> None:
        self._wide = [index for index, character in enumerate(text) if ord(character) > 0xFFFF]

    def position(self, character: int) -> int:
        from bisect import bisect_left

        return character + bisect_left(self._wide, character)
