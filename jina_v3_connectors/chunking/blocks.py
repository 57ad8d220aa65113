"""Blocks of a text with a structure, packed into chunks: what stays together, and where a chunk begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jina_v3_encoder.texts.late_chunking import Span

from .sizes import PROSE, ROWS, SizedText


@dataclass(frozen=True)
class Block:
    """A heading, a table, a fence or anything else: characters [start, end), and how it is cut if it must be."""

    start: int
    end: int
    heading: bool = False
    rows: bool = False
    """Whether it is written line by line, such as a table or code."""


def packed(sized: SizedText, blocks: Iterable[Block]) -> list[Span]:
    """A chunk for each section, or several: blocks together as they fit, a heading with what follows it.

    A block that fits in a chunk is not cut, unless it is prose and its heading would stand alone otherwise.
    """
    spans = (span for section in _sections(blocks) for span in _section(sized, section))
    return sized.joined(spans)


def _sections(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks from one heading to the next. Headings that follow each other begin one section."""
    section: list[Block] = []
    for block in blocks:
        if block.heading and section and not section[-1].heading:
            yield section
            section = []
        section.append(block)
    if section:
        yield section


def _section(sized: SizedText, blocks: list[Block]) -> Iterator[Span]:
    """Chunks of a section."""
    start, end = blocks[0].start, blocks[-1].end
    if sized.fits(start, end):
        yield start, end
        return
    group: list[Block] = []
    for block in blocks:
        if group and not sized.fits(group[0].start, block.end):
            if group[-1].heading and not (block.rows and sized.fits(block.start, block.end)):
                group.append(block)  # they are cut together, so that the heading keeps the first of it
                yield from _cut(sized, group)
                group = []
                continue
            yield from _cut(sized, group)
            group = []
        group.append(block)
    if group:
        yield from _cut(sized, group)


def _cut(sized: SizedText, group: list[Block]) -> Iterator[Span]:
    """Chunks of neighbouring blocks. Between a heading and the block after it is no break, only within that block."""
    span, levels = (group[0].start, group[-1].end), ROWS if group[-1].rows else PROSE
    return sized.limited([span], levels[1:] if len(group) > 1 and group[-2].heading else levels)
