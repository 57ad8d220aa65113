"""Markdown by its blocks: headings stay with their text, tables and fences whole where they fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version

from markdown_it import MarkdownIt
from markdown_it.token import Token

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from .blocks import Block, packed
from .sizes import SizedText, Sizes, trimmed

HEADING = "heading_open"
ROWS = {"table_open", "fence", "code_block"}
ITEM = "list_item_open"
LINE_END = re.compile(r"\r\n?|\n")
"""As the parser counts lines."""


class MarkdownChunker:
    """A chunk for each section, cut between blocks where it is too large."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._parser = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table")
        self._parser.disable(["inline", "text_join"], ignoreInvalid=True)  # only blocks are asked for
        release = ".".join(version("markdown-it-py").split(".")[:2])
        self.description = f"markdown by markdown-it {release}, {sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "markdown") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        sized = self._sizes.of(text)
        return packed(sized, self._blocks(sized))

    def _blocks(self, sized: SizedText) -> Iterator[Block]:
        """Top-level blocks and items of top-level lists. What the parser leaves out goes to the block before it."""
        text = sized.text
        lines = [0, *(match.end() for match in LINE_END.finditer(text))]
        marks: dict[int, Token] = {}
        for token in self._parser.parse(text):
            if token.map is not None and (token.level == 0 or (token.level == 1 and token.type == ITEM)):
                marks[lines[min(token.map[0], len(lines) - 1)]] = token
        starts = sorted(marks)
        for number, start in enumerate(starts):
            token = marks[start]
            after = starts[number + 1] if number + 1 < len(starts) else len(text)
            begin, end = trimmed(text, 0 if number == 0 else start, after)
            if begin < end:
                yield Block(begin, end, token.type == HEADING, token.type in ROWS)
        if not starts:  # nothing but definitions of links
            yield from (Block(*span) for span in sized.between(()))
