"""Whether a difference between two ways of searching is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 20_100_825
COUNTS_AT_ONCE = 4_000_000
FEWEST = 20
"""Below so many questions, or documents, an interval is far too narrow to decide anything: of one it has no width."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean difference and where 95 of 100 repetitions with other questions would find it."""

    mean: float
    low: float
    high: float


def bootstrap(differences: Floats, documents: Sequence[str] | NDArray[np.str_] | None = None) -> list[Interval]:
    """An interval for each column of (questions, measures), from the same resampled questions.

    Percentile bootstrap of paired differences. The seed is fixed: the same figures give the same interval. With
    `documents`, the one that each question is about, these are resampled with all of their questions: questions about
    one text are alike, so that questions resampled alone would promise too much.
    """
    sums, sizes = differences, np.ones(len(differences))
    if documents is not None:
        _, rows = np.unique(np.asarray(documents, dtype=str), return_inverse=True)
        sums, sizes = np.zeros((rows.max() + 1, differences.shape[1])), np.bincount(rows).astype(np.float64)
        np.add.at(sums, rows, differences)
    units, measures = sums.shape
    random = np.random.default_rng(SEED)
    means = np.empty((RESAMPLES, measures))
    block = max(1, COUNTS_AT_ONCE // units)
    for start in range(0, RESAMPLES, block):
        size = min(block, RESAMPLES - start)
        counts = random.multinomial(units, np.full(units, 1 / units), size=size)
        means[start : start + size] = (counts @ sums) / (counts @ sizes)[:, None]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    return [
        Interval(float(mean), float(least), float(most))
        for mean, least, most in zip(differences.mean(axis=0), low, high, strict=True)
    ]
