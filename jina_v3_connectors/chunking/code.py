"""Source code by blank lines and indentation, whatever its language."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from . import breaks
from .sizes import Sizes

LINE = re.compile(r"^([^\S\n]*)(\S[^\n]*)$", re.MULTILINE)
TAB = 8
CLOSERS = (")", "]", "}", "else", "elif", "except", "finally", "catch", "end")
"""A line that begins with one of these goes on with the block before it."""


class CodeChunker:
    """Whole definitions together as they fit; a larger one is cut where its own parts begin, at the least indentation.

    No grammar is asked, so it cuts any language that is indented, and half a file too.
    """

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self.description = f"code, {sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        levels = (_outer_parts, _outer_lines, _body_parts, breaks.paragraphs, _body_lines, breaks.lines, breaks.words)
        return self._sizes.of(text).finished((), levels)


def _outer_parts(text: str, start: int, end: int) -> Iterator[int]:
    """Lines of the least indentation after a blank line."""
    return (cut for cut in _least_indented(text, start, end) if _after_blank(text, cut))


def _outer_lines(text: str, start: int, end: int) -> Iterator[int]:
    """Lines of the least indentation."""
    return _least_indented(text, start, end)


def _body_parts(text: str, start: int, end: int) -> Iterator[int]:
    """Lines of the least indentation below the first line, after a blank line: the methods of a class."""
    return (cut for cut in _body_lines(text, start, end) if _after_blank(text, cut))


def _body_lines(text: str, start: int, end: int) -> Iterator[int]:
    """Lines of the least indentation below the first line."""
    head = text.find("\n", start, end)
    return iter(()) if head < 0 else _least_indented(text, head + 1, end)


def _least_indented(text: str, start: int, end: int) -> Iterator[int]:
    rows = [(_width(match[1]), match.start(), match[2]) for match in LINE.finditer(text, start, end)]
    least = min((width for width, _, _ in rows), default=0)
    return (
        position
        for width, position, content in rows
        if width == least and position > start and not content.startswith(CLOSERS)
    )


def _width(indentation: str) -> int:
    return len(indentation.expandtabs(TAB))


def _after_blank(text: str, position: int) -> bool:
    """Whether a blank line stands before the line at `position`."""
    before = text.rfind("\n", 0, max(0, position - 1))
    return not text[before + 1 : max(0, position - 1)].strip()
