"""What a reader makes of a file: one text, where its pages and headings are, and what the user should know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..documents import Mark
from ..errors import DocumentError

MAX_CHARACTERS = 50_000_000
"""Characters of one document: some 25,000 printed pages."""
MAX_HEADING = 200
"""Characters of a heading that are kept as metadata. The text has all of them."""
NO_TEXT = "holds no text, only pictures or nothing: OCR has to read them first"
PAGE, SECTION = "page", "section"
"""Names in metadata."""


@dataclass(frozen=True)
class Content:
    """The text of a file. `marks` are in the order of their starts."""

    text: str
    marks: tuple[Mark, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""
    """What could not be read, where that does not make the rest wrong."""


class Headings:
    """The headings above a position, from the outermost to the innermost."""

    def __init__(self) -> None:
        self._above: list[tuple[int, str]] = []

    def add(self, level: int, heading: str) -> None:
        """A heading of `level` ends all of that level and below. White space is collapsed."""
        while self._above and self._above[-1][0] >= level:
            self._above.pop()
        self._above.append((level, " ".join(heading.split())[:MAX_HEADING]))

    @property
    def metadata(self) -> dict[str, Any]:
        return {SECTION: [heading for _, heading in self._above]} if self._above else {}


class TextBuilder:
    """Puts a text together from pieces, with the widest of the breaks that were asked for between two of them.

    It adds white space and nothing else.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._break = ""
        self._marks: dict[int, dict[str, Any]] = {}
        self.length = 0

    def separate(self, white_space: str, *, narrow: bool = False) -> None:
        """Let the next piece stand apart. Of several breaks the widest counts; with `narrow` only this one does."""
        if narrow or BREAKS.index(white_space) > BREAKS.index(self._break):
            self._break = white_space

    def add(self, piece: str) -> int:
        """Append a piece that is not empty, and return where it starts.

        Raises:
            DocumentError: the text is too long.
        """
        if self._pieces and self._break:
            self._pieces.append(self._break)
            self.length += len(self._break)
        start = self.length
        self._break = ""
        self._pieces.append(piece)
        self.length += len(piece)
        if self.length > MAX_CHARACTERS:
            raise DocumentError(f"has over {MAX_CHARACTERS:,} characters of text: split it")
        return start

    def mark(self, start: int, metadata: Mapping[str, Any]) -> None:
        """From `start` on, chunks have this metadata. Starts never decrease; at one start the last mark counts."""
        self._marks[start] = dict(metadata)

    def text(self, start: int = 0) -> str:
        """The text from a piece's start on."""
        pieces, length = [], self.length
        for piece in reversed(self._pieces):
            if length <= start:
                break
            pieces.append(piece)
            length -= len(piece)
        return "".join(reversed(pieces))

    def content(self, metadata: Mapping[str, Any] | None = None, remark: str = "") -> Content:
        """What was put together."""
        marks, before = [], None
        for start, marked in self._marks.items():
            if marked != before:
                marks.append(Mark(start, marked))
            before = marked
        return Content("".join(self._pieces), tuple(marks), dict(metadata or {}), remark)


BREAKS = ("", " ", "\t", "\n", "\n\n")
"""From the narrowest to the widest."""
