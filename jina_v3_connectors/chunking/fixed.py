"""As many words as fit, wherever that ends: the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from . import breaks
from .sizes import Sizes, trimmed


class FixedChunker:
    """Chunks of `max_tokens` tokens. The last `overlap` tokens of one stand in the next again, in whole words."""

    def __init__(self, sizes: Sizes, overlap: int = 0) -> None:
        if not 0 <= overlap < sizes.max_tokens:
            raise InvalidInput(
                f"a chunk of {sizes.max_tokens} tokens cannot share {overlap} with the next one: at least one must be "
                "new"
            )
        self._sizes, self._overlap = sizes, overlap
        shared = f", overlap {overlap}" if overlap else ""
        self.description = f"fixed{shared}, {sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        sizes = self._sizes
        spans = (span for start, end in self._runs(text) if (span := trimmed(text, start, end))[0] < span[1])
        return sizes.joined(text, _going_on(text, sizes.limited(text, spans, (breaks.words,))))

    def _runs(self, text: str) -> Iterator[Span]:
        """Runs of words that have at most so many tokens by count; a longer word by itself."""
        words = self._sizes.counter.words(text)
        tokens = _sums(self._sizes.counter.word_counts(words), len(words))
        starts = _sums((len(word) + 1 for word in words), len(words))
        first = 0
        while first < len(words):
            after = int(np.searchsorted(tokens, tokens[first] + self._sizes.max_tokens, side="right")) - 1
            after = max(after, first + 1)
            yield int(starts[first]), int(starts[after]) - 1
            if after == len(words):
                return
            if self._overlap:
                back = int(np.searchsorted(tokens, tokens[after] - self._overlap, side="left"))
                after = max(first + 1, min(back, after))
            first = after


def _going_on(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """`spans`, each of which ends later than the one before. A run that was cut is not repeated in the next."""
    last_start, last_end = -1, 0
    for start, end in spans:
        if end > last_end:
            last_start, last_end = trimmed(text, start if start > last_start else last_end, end)
            yield last_start, last_end


def _sums(numbers: Iterable[int], count: int) -> NDArray[np.int64]:
    """0, and the sums of the first 1 to n numbers."""
    sums = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.fromiter(numbers, dtype=np.int64, count=count), out=sums[1:])
    return sums
