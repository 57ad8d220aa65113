"""How alike two rankings are, and whether the difference between two models is more than chance.

Plain numbers and names in, plain numbers out: nothing here knows a collection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..evaluation.intervals import FEWEST, Floats, Interval

PERSISTENCE = 0.9
"""How far a reader goes: p of rank-biased overlap. At .9 the first ten ranks have 86 % of the weight."""


def overlap(old: Sequence[str], new: Sequence[str], depth: int) -> float:
    """The share of the first `depth` names that both rankings have. Where both are shorter, the longer one counts."""
    first_old, first_new = set(old[:depth]), set(new[:depth])
    longest = max(len(first_old), len(first_new))
    return len(first_old & first_new) / longest if longest else 1.0


def rank_biased_overlap(old: Sequence[str], new: Sequence[str], p: float = PERSISTENCE) -> float:
    """RBO of two rankings without repeated names, extrapolated: 1 for the same ranking, 0 where no name is shared.

    Equation 32 of Webber, Moffat and Zobel 2010, "A similarity measure for indefinite rankings". It assumes that
    agreement goes on behind the last rank as it is there, so that equal rankings of any length have 1.
    """
    short, long = sorted((list(old), list(new)), key=len)
    if not short:
        return float(not long)
    shared = _shared(short, long)
    s, l = len(short), len(long)  # noqa: E741 - the names of the equation
    at_s, at_l = shared[s - 1], shared[l - 1]
    agreement = sum(shared[d - 1] / d * p**d for d in range(1, l + 1))
    beyond_short = sum(at_s * (d - s) / (s * d) * p**d for d in range(s + 1, l + 1))
    return (1 - p) / p * (agreement + beyond_short) + ((at_l - at_s) / l + at_s / s) * p**l


def _shared(short: Sequence[str], long: Sequence[str]) -> list[int]:
    """How many names both have in their first d ranks, for each depth d of the longer one."""
    seen: set[str] = set()
    shared, counts = 0, []
    for depth, name in enumerate(long):
        for other in (name, *short[depth : depth + 1]):
            shared += other in seen
            seen.add(other)
        counts.append(shared)
    return counts


class Verdict(StrEnum):
    """Whether the new collection may take the place of the old one."""

    GO = "GO"
    NO_GO = "NO-GO"
    UNDECIDED = "UNDECIDED"


def decide(difference: Interval, tolerance: float, questions: int) -> tuple[Verdict, str]:
    """The verdict on new minus old, and the reason. A loss of `tolerance` is accepted; what spans it is undecided."""
    limit = -tolerance
    shown = f"the difference of nDCG@10 lies between {difference.low:+.3f} and {difference.high:+.3f}"
    if questions < FEWEST:
        return (
            Verdict.UNDECIDED,
            f"{questions} judged questions are too few: {FEWEST} are the least to decide by",
        )
    if difference.low >= limit:
        return Verdict.GO, f"{shown}, nowhere below the {limit:+.3f} that you accept"
    if difference.high < limit:
        return Verdict.NO_GO, f"{shown}, all of it below the {limit:+.3f} that you accept"
    return Verdict.UNDECIDED, f"{shown}, and {limit:+.3f} is inside: {_remedy(difference, limit, questions)}"


def _remedy(difference: Interval, limit: float, questions: int) -> str:
    """How many questions would decide: an interval's width goes with one over the root of their number."""
    distance = abs(difference.mean - limit)
    half_width = (difference.high - difference.low) / 2
    if distance < half_width / 10:
        return "no number of judged questions that you could write is likely to decide; choose another tolerance"
    needed = math.ceil(questions * (half_width / distance) ** 2 / 10) * 10
    return f"about {max(needed, questions + 10):,} judged questions would decide"


PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)


def percentiles(scores: Floats) -> dict[int, float]:
    """The scores below which 1, 5, … 99 of a hundred lie."""
    return {percent: float(score) for percent, score in zip(PERCENTS, np.percentile(scores, PERCENTS), strict=True)}


@dataclass(frozen=True)
class Threshold:
    """An old threshold of scores, the share of old hits that reach it, and the new one that as many reach.

    `new` is None where all old hits reach the old one, or none: then it says nothing about a new one.
    """

    old: float
    reached: float
    new: float | None


def matching_threshold(threshold: float, old_scores: Floats, new_scores: Floats) -> Threshold:
    """The new model's threshold that keeps the same share of hits."""
    reached = float(np.mean(old_scores >= threshold))
    if reached in (0.0, 1.0):
        return Threshold(threshold, reached, None)
    return Threshold(threshold, reached, float(np.quantile(new_scores, 1 - reached)))
