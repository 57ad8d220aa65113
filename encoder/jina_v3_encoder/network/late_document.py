"""A document on its way to late-chunked vectors, read a few windows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ..texts.late_chunking import WindowSize, window_at, window_starts
from ..texts.tokenizer import IntArray
from ..vectors import FloatArray
from .batching import Reading, owned_readings, owned_tokens


class LateDocument:
    """A tokenised document, as `Encoder.open_document` returns it. Each window is read once, in any order.

    Nothing is prepared for each window, so a document may have any number of them.
    """

    def __init__(
        self, ids: IntArray, rows: Sequence[IntArray], window: WindowSize, bank: int | None, dimensions: int
    ) -> None:
        """`rows` are the tokens of each span."""
        self._ids, self._window, self._bank = ids, window, bank
        self._owned = owned_tokens(rows)
        self._starts = window_starts(len(ids), *window)
        self._shape = len(rows), dimensions

    @cached_property
    def sums(self) -> FloatArray:
        """Allocated when the first window is read: documents that wait take no memory for their vectors."""
        return np.zeros(self._shape, np.float32)

    @cached_property
    def counts(self) -> FloatArray:
        return np.zeros((self._shape[0], 1), np.float32)

    @property
    def windows(self) -> int:
        return len(self._starts)

    def tokens(self, start: int, stop: int) -> int:
        """Tokens that windows [start, stop) read. Overlaps count in each window."""
        longest = min(self._window.tokens, len(self._ids))
        missing = longest - (len(self._ids) - self._starts[-1]) if stop == self.windows else 0
        return (stop - start) * longest - missing

    def readings(self, start: int, stop: int) -> list[Reading]:
        """The passes of windows [start, stop). A window without tokens of any span is left out."""
        plan = [window_at(first, len(self._ids), *self._window) for first in self._starts[start:stop]]
        return owned_readings(self._ids, self._owned, plan, self._bank)

    def vectors(self) -> FloatArray:
        """Mean states (spans, dimensions) of what was read, not normalised."""
        means: FloatArray = np.divide(self.sums, np.maximum(self.counts, 1), dtype=np.float32)
        return means
