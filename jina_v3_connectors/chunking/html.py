"""HTML by its blocks, with its tags: headings stay with their text, tables whole where they fit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from .blocks import Block, packed
from .sizes import Sizes, trimmed

TAG = re.compile(r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9]*)")
HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
ROWS = frozenset({"table", "pre"})
SKIPPED = frozenset({"script", "style", "template", "textarea", "svg"})
BEGINS = (
    HEADINGS
    | ROWS
    | SKIPPED
    | frozenset(
        "address article aside blockquote body dd details div dl dt fieldset figure footer form head header hr html li "
        "main nav ol p section summary title ul".split()
    )
)
"""Tags that begin a block."""
CLOSING = {name: re.compile(rf"<(/?){name}(?![a-z0-9])") for name in ROWS | SKIPPED}


class HtmlChunker:
    """A chunk for each section, cut between blocks where it is too large. Spans are those of the HTML with its tags."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self.description = f"html, {sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        return packed(self._sizes.of(text), _blocks(text))


def _blocks(text: str) -> Iterator[Block]:
    """The text between two tags that begin a block. A table is one block, and so is whatever is no text."""
    start, name = 0, ""
    for tag, position, end in _openings(text):
        yield from _block(text, start, position, name)
        start, name = position, tag
        if end > position:
            yield from _block(text, position, end, tag)
            start, name = end, ""
    yield from _block(text, start, len(text), name)


def _block(text: str, start: int, end: int, name: str) -> Iterator[Block]:
    begin, end = trimmed(text, start, end)
    if begin < end:
        yield Block(begin, end, name in HEADINGS, name in ROWS | SKIPPED)


def _openings(text: str) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of tags that begin a block; the end is the start where the block ends with the next one."""
    lowered = _lowered(text)
    position = 0
    while match := TAG.search(text, position):
        position = match.end()
        if match[0] == "<!--":
            close = text.find("-->", position)
            position = len(text) if close < 0 else close + 3
            continue
        name = match[2].lower()
        if match[1] or name not in BEGINS:
            continue
        end = match.start()
        if name in ROWS | SKIPPED:
            end = position = _closed(lowered, name, position)
        yield name, match.start(), end


def _lowered(text: str) -> str:
    """`text` in small letters of ASCII alone, so that positions stay."""
    return re.sub(r"[A-Z]+", lambda letters: letters[0].lower(), text)


def _closed(lowered: str, name: str, position: int) -> int:
    """Where an element ends that was opened before `position`; the end of the text if nothing closes it."""
    depth = 1
    for match in CLOSING[name].finditer(lowered, position):
        depth += -1 if match[1] else 1
        if depth == 0:
            close = lowered.find(">", match.end())
            return len(lowered) if close < 0 else close + 1
    return len(lowered)
