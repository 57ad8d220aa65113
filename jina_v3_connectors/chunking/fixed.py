"""As many words as fit, wherever that ends: the baseline of every comparison."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from . import breaks
from .sizes import SizedText, Sizes, trimmed, trimmed_spans


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
        sized = self._sizes.of(text)
        runs = trimmed_spans(text, self._runs(sized))
        return sized.joined(_going_on(text, sized.limited(runs, (breaks.words,))))

    def _runs(self, sized: SizedText) -> Iterator[Span]:
        """Runs of words that have at most so many tokens by count; a longer word by itself."""
        tokens, ends = sized.words()
        first, last = 0, len(ends) - 1
        while first <= last:
            after = bisect_right(tokens, tokens[first] + self._sizes.max_tokens) - 1
            after = max(after, first + 1)
            yield ends[first - 1] + 1 if first else 0, ends[after - 1]
            if after > last:
                return
            if self._overlap:
                after = max(first + 1, min(bisect_left(tokens, tokens[after] - self._overlap), after))
            first = after


def _going_on(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """`spans`, each of which ends later than the one before. A run that was cut is not repeated in the next."""
    last_start, last_end = -1, 0
    for start, end in spans:
        if end > last_end:
            last_start, last_end = trimmed(text, start if start > last_start else last_end, end)
            yield last_start, last_end
