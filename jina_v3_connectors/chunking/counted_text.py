"""A text whose words are counted once, so that the tokens of any part of it are sums."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.texts.late_chunking import Span

from .tokens import LONGEST_WORD, TokenCounter

IntArray = NDArray[np.int64]

FEW = 24
"""Fewer spans are faster one by one."""


@dataclass(frozen=True)
class _Words:
    """The words of a text: what is between single spaces."""

    ends: IntArray
    """Where each ends: at a space, or at the end of the text."""
    sums: IntArray
    """Tokens before each word, and after the last. The long ones are left out."""
    long: list[int]
    """Numbers of words after the first that are too long to be counted before somebody asks."""


class CountedText:
    """Counts tokens of parts of a text, each as `TokenCounter.count` would."""

    def __init__(self, counter: TokenCounter, text: str) -> None:
        self.text = text
        self._counter = counter
        self._first, self._later = counter.known(head=True), counter.known(head=False)
        self._counted: dict[tuple[int, int, bool], int] = {}

    def count(self, start: int, end: int) -> int:
        """Tokens of [start, end).

        Raises:
            InvalidInput: it holds lone surrogates.
        """
        if not self._counter.by_words:
            return self._word(start, end, head=True)
        ends, sums, text = self._ends, self._sums, self.text
        first = bisect_left(ends, start)
        last = bisect_left(ends, end, first, min(first + end - start, len(ends)))
        if first == last:
            return self._word(start, end, head=True)
        stop = ends[first]
        tokens = self._first[text[start:stop]] if stop - start <= LONGEST_WORD else self._word(start, stop, head=True)
        if end == ends[last]:
            last += 1
            tokens += sums[last] - sums[first + 1]
        else:
            tokens += sums[last] - sums[first + 1] + self._word(ends[last - 1] + 1, end)
        if long := self._words.long:
            for number in long[bisect_left(long, first + 1) : bisect_left(long, last)]:
                tokens += self._word(ends[number - 1] + 1, ends[number])
        return tokens

    def counts(self, spans: Sequence[Span]) -> list[int]:
        """Tokens of many spans, each as `count`."""
        if not self._counter.by_words or len(spans) < FEW:
            return [self.count(start, end) for start, end in spans]
        words = self._words
        starts, ends = np.array(spans, dtype=np.int64).T
        first, last = np.searchsorted(words.ends, starts), np.searchsorted(words.ends, ends)
        tokens = self._each(starts, np.minimum(words.ends[first], ends), head=True)
        several = first < last
        whole = several & (words.ends[last] == ends)
        last += whole
        tokens[several] += (words.sums[last] - words.sums[np.minimum(first + 1, last)])[several]
        cut = several & ~whole
        tokens[cut] += self._each(words.ends[last[cut] - 1] + 1, ends[cut])
        if words.long:
            inside = np.searchsorted(words.long, first + 1) < np.searchsorted(words.long, last)
            for number in np.flatnonzero(several & inside).tolist():
                tokens[number] = self.count(*spans[number])
        counts: list[int] = tokens.tolist()
        return counts

    def words(self) -> tuple[list[int], list[int]]:
        """Tokens before each word and after the last, and where each word ends."""
        words = self._words
        counts = np.diff(words.sums)
        for number in words.long:
            counts[number] = self._word(self._ends[number - 1] + 1, self._ends[number])
        counts[0] = self._word(0, self._ends[0], head=True)
        sums: list[int] = np.append(0, np.cumsum(counts)).tolist()
        return sums, self._ends

    def _each(self, starts: IntArray, ends: IntArray, head: bool = False) -> IntArray:
        text, known = self.text, self._first if head else self._later
        spans = zip(starts.tolist(), ends.tolist(), strict=True)
        counts = [
            known[text[start:end]] if end - start <= LONGEST_WORD else self._word(start, end, head)
            for start, end in spans
        ]
        return np.array(counts, dtype=np.int64)

    def _word(self, start: int, end: int, head: bool = False) -> int:
        """Tokens of a word or a part of one, at the head of a text or behind a space."""
        known = self._first if head else self._later
        if end - start <= LONGEST_WORD:
            return known[self.text[start:end]]
        key = (start, end, head)
        if key not in self._counted:
            self._counted[key] = known[self.text[start:end]]
        return self._counted[key]

    @cached_property
    def _words(self) -> _Words:
        words = self._counter.words(self.text)
        ends, sums = np.empty(len(words), dtype=np.int64), np.empty(len(words) + 1, dtype=np.int64)
        codes = _codes(self.text)
        spaces = codes == ord(" ")
        if self._counter.breaks_are_spaces:
            spaces |= codes == ord("\n")
        ends[:-1], ends[-1] = spaces.nonzero()[0], len(self.text)
        long = ((ends[1:] - ends[:-1] > LONGEST_WORD + 1).nonzero()[0] + 1).tolist()
        for number in [0, *long]:  # the first is counted as the head of a text where it is needed
            words[number] = ""
        counts = self._counter.later_counts(words)
        if long:
            counts[long] = 0
        sums[0] = 0
        counts.cumsum(out=sums[1:])
        return _Words(ends, sums, long)

    @cached_property
    def _ends(self) -> list[int]:
        ends: list[int] = self._words.ends.tolist()  # single numbers are read from a list much faster
        return ends

    @cached_property
    def _sums(self) -> list[int]:
        sums: list[int] = self._words.sums.tolist()
        return sums


def _codes(text: str) -> NDArray[np.uint8] | NDArray[np.uint32]:
    """The code points of a text; bytes where it is ASCII."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
