"""What chunkers make of the same documents, in figures."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import Cut, Document
from .base import Chunker
from .checked import checked_cuts
from .tokens import TokenCounter

PERCENTILES = (5, 25, 50, 75, 95)
LONGEST_HEADING = 100
"""Characters. A longer line without a full stop is text."""
FENCE = re.compile(r"^ {0,3}(```+|~~~+).*$", re.MULTILINE)
HASHES = re.compile(r"^ {0,3}#{1,6}[ \t]+\S.*$", re.MULTILINE)
TAGS = re.compile(r"<h[1-6][^<>]*>[^<>]*</h[1-6]>", re.IGNORECASE)
LINE_ALONE = re.compile(r"(?:\A|(?<=\n\n))[^\n]+(?=\n\n)")
STOPS = tuple(".!?:;,。！？…")


@dataclass
class Cutting:
    """What one chunker made of all documents."""

    name: str
    description: str
    sizes: list[int] = field(default_factory=list)
    """Tokens of each chunk, without specials."""
    characters: int = 0
    """That are not white space, in all documents."""
    covered: int = 0
    """Of these, in a chunk."""
    headings: int = 0
    """That text follows."""
    kept_headings: int = 0
    """Of these, in one chunk with the beginning of that text."""
    seconds: float = 0.0
    bytes: int = 0

    @property
    def coverage(self) -> float:
        """Share of the characters that are in a chunk."""
        return self.covered / self.characters if self.characters else 1.0

    @property
    def percentiles(self) -> list[int]:
        """Tokens below which `PERCENTILES` of the chunks are."""
        return [int(size) for size in np.percentile(self.sizes or [0], PERCENTILES)]


def cut_documents(
    cutting: Cutting, chunker: Chunker, documents: Iterable[Document], counter: TokenCounter
) -> Iterator[tuple[Document, Sequence[Cut]]]:
    """Each document with its cuts, which are counted in `cutting`."""
    for document in documents:
        start = time.perf_counter()
        cuts = checked_cuts(document, chunker)
        cutting.seconds += time.perf_counter() - start
        cutting.bytes += len(document.text.encode())
        spans = [(cut.start, cut.end) for cut in cuts]
        cutting.sizes += [counter.count(document.text[begin:end]) for begin, end in spans]
        cutting.characters += len("".join(document.text.split()))
        cutting.covered += _covered(document.text, spans)
        for kept in _headings(document, spans):
            cutting.headings += 1
            cutting.kept_headings += kept
        yield document, cuts


def _covered(text: str, spans: Sequence[Span]) -> int:
    """How many characters that are not white space are in a span."""
    covered = last = 0
    for start, end in spans:
        covered += len("".join(text[max(start, last) : end].split()))
        last = max(last, end)
    return covered


def _headings(document: Document, spans: Sequence[Span]) -> Iterator[bool]:
    """For each heading that text follows, whether a chunk holds its end and the beginning of the text."""
    text = document.text
    headings = headings_of(document)
    starts = {start for start, _ in headings}
    for _, end in headings:
        following = end + len(text[end:]) - len(text[end:].lstrip())
        if following < len(text) and following not in starts:
            yield any(start < end and following < after for start, after in spans)


def headings_of(document: Document) -> list[Span]:
    """Lines that are headings: of Markdown and HTML, and in plain text short lines alone without a full stop."""
    text = document.text
    if tags := [match.span() for match in TAGS.finditer(text)]:
        return tags
    if document.format == "markdown":
        fences = [match.start() for match in FENCE.finditer(text)]
        marks = [match.span() for match in HASHES.finditer(text)]
        return [span for span in marks if np.searchsorted(fences, span[0]) % 2 == 0]
    lines = (match for match in LINE_ALONE.finditer(text) if match.end() - match.start() <= LONGEST_HEADING)
    return [line.span() for line in lines if line[0].strip() and not line[0].rstrip().endswith(STOPS)]
