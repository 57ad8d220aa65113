"""What every chunker promises of sizes: larger pieces are cut at the best breaks there are, small ones are joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from unicodedata import category

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from . import breaks
from .breaks import Breaks
from .tokens import TokenCounter

DEFAULT_CHUNK_TOKENS = 200
PROSE: tuple[Breaks, ...] = (breaks.paragraphs, breaks.sentences, breaks.words)
ROWS: tuple[Breaks, ...] = (breaks.paragraphs, breaks.lines, breaks.sentences, breaks.words)
"""For what is written line by line: code and tables."""
CHARACTERS_PER_TOKEN = 8
"""Of a text without any break, so many characters are tokenised at once to see where a chunk has to end."""
JOINER = "\u200d"


@dataclass(frozen=True)
class Sizes:
    """The largest and the smallest chunk, in tokens without specials."""

    counter: TokenCounter
    max_tokens: int = DEFAULT_CHUNK_TOKENS
    min_tokens: int = 0

    def __post_init__(self) -> None:
        _check_count(self.max_tokens, 1, "a chunk must have at least 1 token")
        _check_count(self.min_tokens, 0, "the smallest chunk must be a whole number of tokens")
        if self.min_tokens > self.max_tokens:
            raise InvalidInput(
                f"the smallest chunk is {self.min_tokens} tokens and the largest {self.max_tokens}: the smallest comes "
                "first"
            )

    @property
    def description(self) -> str:
        """How it stands in a chunker's description."""
        return f"{self.max_tokens} tokens" + (f", at least {self.min_tokens}" if self.min_tokens else "")

    def fits(self, text: str, start: int, end: int) -> bool:
        """Whether these characters may be one chunk."""
        return self.counter.fits(text[start:end], self.max_tokens)

    def finished(self, text: str, cuts: Iterable[int], levels: Sequence[Breaks] = PROSE) -> list[Span]:
        """Spans between `cuts`, which are in order: without white space at their ends, none too large or too small."""
        return self.joined(text, self.limited(text, between(text, cuts), levels))

    def limited(self, text: str, spans: Iterable[Span], levels: Sequence[Breaks] = PROSE) -> Iterator[Span]:
        """`spans`, the larger ones cut at the strongest of `levels` that they have."""
        for start, end in spans:
            yield from self._limited(text, start, end, levels)

    def _limited(self, text: str, start: int, end: int, levels: Sequence[Breaks]) -> Iterator[Span]:
        start, end = trimmed(text, start, end)
        if start == end:
            return
        if self.fits(text, start, end):
            yield start, end
            return
        for number, level in enumerate(levels):
            cuts = list(level(text, start, end))
            if cuts:
                pieces = zip([start, *cuts], [*cuts, end], strict=True)
                yield from self.packed(text, pieces, levels[number + 1 :])
                return
        yield from self._by_characters(text, start, end)

    def packed(self, text: str, pieces: Iterable[Span], levels: Sequence[Breaks] = PROSE) -> Iterator[Span]:
        """As many neighbours together as fit. A piece that does not fit alone is cut at `levels`."""
        group: list[Span] = []
        size = 0
        for start, end in pieces:
            tokens = self.counter.count(text[start:end])
            if group and size + tokens > self.max_tokens:
                yield from self._closed(text, group, levels)
                group, size = [], 0
            if tokens > self.max_tokens:
                yield from self._limited(text, start, end, levels)
            else:
                group.append((start, end))
                size += tokens
        yield from self._closed(text, group, levels)

    def _closed(self, text: str, group: list[Span], levels: Sequence[Breaks]) -> Iterator[Span]:
        """One span of a group; several where joining it made more tokens than its parts have."""
        while group:
            last = len(group)
            while last > 1 and not self.fits(text, *trimmed(text, group[0][0], group[last - 1][1])):
                last -= 1
            yield from self._limited(text, group[0][0], group[last - 1][1], levels)
            group = group[last:]

    def _by_characters(self, text: str, start: int, end: int) -> Iterator[Span]:
        while start < end:
            cut = self._last_fitting(text, start, end)
            yield start, cut
            start = cut

    def _last_fitting(self, text: str, start: int, end: int) -> int:
        """Where a chunk from `start` has to end, in a text without breaks."""
        width = CHARACTERS_PER_TOKEN * (self.max_tokens + 1)
        offsets = self.counter.tokenizer.encode(text[start : min(end, start + width)], add_special_tokens=False).offsets
        while len(offsets) <= self.max_tokens and start + width < end:
            width *= 2
            offsets = self.counter.tokenizer.encode(
                text[start : min(end, start + width)], add_special_tokens=False
            ).offsets
        cut = end if len(offsets) <= self.max_tokens else start + max(1, offsets[self.max_tokens][0])
        while cut > start + 1 and self.counter.exact(text[start:cut]) > self.max_tokens:
            cut -= max(1, (cut - start) // 16)
        return _between_letters(text, start, cut)

    def joined(self, text: str, spans: Iterable[Span]) -> list[Span]:
        """`spans`, those below the smallest size joined with the one before or after, where both fit in one.

        A piece without any token, such as a zero-width space, is below every size: no encoder gives it a vector.
        """
        least = max(1, self.min_tokens)
        chunks: list[Span] = []
        small: list[bool] = []
        for start, end in spans:
            below = self._below(text, start, end, least)
            if chunks and (below or small[-1]) and self.fits(text, chunks[-1][0], end):
                chunks[-1] = (chunks[-1][0], end)
                small[-1] = self._below(text, chunks[-1][0], end, least)
            else:
                chunks.append((start, end))
                small.append(below)
        return chunks

    def _below(self, text: str, start: int, end: int, least: int) -> bool:
        if least == 1 and text[start].isascii() and text[start].isalnum():
            return False
        return self.counter.count(text[start:end]) < least


def between(text: str, cuts: Iterable[int]) -> Iterator[Span]:
    """The spans from one cut to the next, from the head of the text to its end, none blank."""
    start = 0
    for cut in (*cuts, len(text)):
        span = trimmed(text, start, cut)
        if span[0] < span[1]:
            yield span
        start = cut


def trimmed(text: str, start: int, end: int) -> Span:
    """[start, end) without white space at its ends."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, max(start, start + len(piece.strip()))


def _between_letters(text: str, start: int, cut: int) -> int:
    """`cut`, or the last position before it that takes no letter, flag or emoji apart."""
    earlier = cut
    while start < earlier < len(text) and (
        category(text[earlier])[0] == "M" or JOINER in (text[earlier], text[earlier - 1]) or _is_modifier(text[earlier])
    ):
        earlier -= 1
    return earlier if earlier > start else cut


def _is_modifier(character: str) -> bool:
    """A skin colour."""
    return "\U0001f3fb" <= character <= "\U0001f3ff"


def _check_count(number: object, least: int, message: str) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise InvalidInput(f"{message}, got {number!r}")
