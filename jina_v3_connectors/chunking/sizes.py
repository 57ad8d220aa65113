"""What every chunker promises of sizes: larger pieces are cut at the best breaks there are, small ones are joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from unicodedata import category

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from . import breaks
from .breaks import Breaks
from .counted_text import CountedText
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

    def of(self, text: str) -> SizedText:
        """A text to be cut into chunks of these sizes."""
        return SizedText(self, text)


class SizedText:
    """A text that is cut into chunks of given sizes. What is counted and found in it once serves all of its parts."""

    def __init__(self, sizes: Sizes, text: str) -> None:
        self.text = text
        self._sizes, self._most = sizes, sizes.max_tokens
        self._counted = CountedText(sizes.counter, text)

    def count(self, start: int, end: int) -> int:
        """Tokens of these characters."""
        return self._counted.count(start, end)

    def fits(self, start: int, end: int) -> bool:
        """Whether these characters may be one chunk."""
        if end - start < self._most and self.text[start:end].isascii():
            return True  # no token is shorter than a character, but one that may stand before the first
        return self._counted.count(start, end) <= self._most

    def words(self) -> tuple[Sequence[int], Sequence[int]]:
        """Tokens before each word between spaces and after the last, and where each word ends."""
        return self._counted.words()

    def between(self, cuts: Iterable[int]) -> list[Span]:
        """The spans from one cut to the next, from the head of the text to its end, none blank."""
        return trimmed_spans(self.text, pairwise((0, *cuts, len(self.text))))

    def sentences(self) -> list[Span]:
        """The sentences of the text, those that are too large cut further."""
        return list(self.limited(self.between(breaks.sentences(self.text, 0, len(self.text)))))

    def finished(self, cuts: Iterable[int], levels: Sequence[Breaks] = PROSE) -> list[Span]:
        """Spans between `cuts`, which are in order: without white space at their ends, none too large or too small."""
        return self.joined(self.limited(self.between(cuts), levels))

    def limited(self, spans: Iterable[Span], levels: Sequence[Breaks] = PROSE) -> Iterator[Span]:
        """`spans`, the larger ones cut at the strongest of `levels` that they have.

        They have no white space at their ends.
        """
        given = list(spans)
        tokens = self._counted.counts(given)
        large = [span for span, size in zip(given, tokens, strict=True) if size > self._most]
        chunks = self._cut(large, levels)
        for span, size in zip(given, tokens, strict=True):
            if size <= self._most:
                yield span
            else:
                yield from next(chunks)

    def _limited(self, start: int, end: int, levels: Sequence[Breaks]) -> Iterator[Span]:
        start, end = trimmed(self.text, start, end)
        if start == end:
            return
        if self.fits(start, end):
            yield start, end
        else:
            yield from next(self._cut([(start, end)], levels))

    def _cut(self, spans: Sequence[Span], levels: Sequence[Breaks]) -> Iterator[Iterator[Span]]:
        """Chunks of each of `spans`, which are too large for one. The pieces of all of them are counted at once."""
        cut = [self._pieces(*span, levels) for span in spans]
        counts = iter(self._counted.counts([piece for pieces, _ in cut for piece in pieces]))
        for span, (pieces, weaker) in zip(spans, cut, strict=True):
            sizes = list(islice(counts, len(pieces)))
            yield self._grouped(pieces, sizes, weaker) if pieces else self._by_characters(*span)

    def _pieces(self, start: int, end: int, levels: Sequence[Breaks]) -> tuple[list[Span], Sequence[Breaks]]:
        """The parts between the strongest breaks, and the weaker levels. No parts where there is no break."""
        for number, level in enumerate(levels):
            cuts = list(level(self.text, start, end))
            if cuts:
                return list(zip([start, *cuts], [*cuts, end], strict=True)), levels[number + 1 :]
        return [], ()

    def packed(self, pieces: Sequence[Span], levels: Sequence[Breaks] = PROSE) -> Iterator[Span]:
        """As many neighbours together as fit. A piece that does not fit alone is cut at `levels`."""
        return self._grouped(pieces, self._counted.counts(pieces), levels)

    def _grouped(self, pieces: Sequence[Span], counts: Sequence[int], levels: Sequence[Breaks]) -> Iterator[Span]:
        group: list[Span] = []
        size = 0
        for piece, tokens in zip(pieces, counts, strict=True):
            if group and size + tokens > self._most:
                yield from self._closed(group, levels)
                group, size = [], 0
            if tokens > self._most:
                yield from self._limited(*piece, levels)
            else:
                group.append(piece)
                size += tokens
        yield from self._closed(group, levels)

    def _closed(self, group: list[Span], levels: Sequence[Breaks]) -> Iterator[Span]:
        """One span of a group; several where joining it made more tokens than its parts have."""
        while group:
            last = len(group)
            while last > 1 and not self.fits(*(span := trimmed(self.text, group[0][0], group[last - 1][1]))):
                last -= 1
            if last == 1:
                yield from self._limited(*group[0], levels)
            elif span[0] < span[1]:
                yield span
            group = group[last:]

    def _by_characters(self, start: int, end: int) -> Iterator[Span]:
        while start < end:
            cut = self._last_fitting(start, end)
            yield start, cut
            start = cut

    def _last_fitting(self, start: int, end: int) -> int:
        """Where a chunk from `start` has to end, in a text without breaks."""
        text, counter, most = self.text, self._sizes.counter, self._most
        width = CHARACTERS_PER_TOKEN * (most + 1)
        offsets = counter.offsets(text[start : min(end, start + width)])
        while len(offsets) <= most and start + width < end:
            width *= 2
            offsets = counter.offsets(text[start : min(end, start + width)])
        cut = end if len(offsets) <= most else start + max(1, offsets[most][0])
        while cut > start + 1 and counter.exact(text[start:cut]) > most:
            cut -= max(1, (cut - start) // 16)
        return _between_letters(text, start, cut)

    def joined(self, spans: Iterable[Span]) -> list[Span]:
        """`spans`, those below the smallest size joined with the one before or after, where both fit in one.

        A piece without any token, such as a zero-width space, is below every size: no encoder gives it a vector.
        """
        least = max(1, self._sizes.min_tokens)
        chunks: list[Span] = []
        small: list[bool] = []
        for start, end in spans:
            below = self._below(start, end, least)
            if chunks and (below or small[-1]) and self.fits(chunks[-1][0], end):
                chunks[-1] = (chunks[-1][0], end)
                small[-1] = self._below(chunks[-1][0], end, least)
            else:
                chunks.append((start, end))
                small.append(below)
        return chunks

    def _below(self, start: int, end: int, least: int) -> bool:
        if least == 1 and self.text[start].isascii() and self.text[start].isalnum():
            return False
        return self._counted.count(start, end) < least


def trimmed(text: str, start: int, end: int) -> Span:
    """[start, end) without white space at its ends."""
    piece = text[start:end].rstrip()
    end = start + len(piece)
    return end - len(piece.lstrip()), end


def trimmed_spans(text: str, spans: Iterable[Span]) -> list[Span]:
    """`spans` without white space at their ends, none blank."""
    kept = []
    for start, end in spans:  # as `trimmed`; a call for each would take longer than the work
        piece = text[start:end].rstrip()
        end = start + len(piece)
        start = end - len(piece.lstrip())
        if start < end:
            kept.append((start, end))
    return kept


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
