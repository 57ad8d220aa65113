"""Measures against values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from jina_v3_connectors.evaluation.intervals import FEWEST, Interval, bootstrap
from jina_v3_connectors.migration.ranking import (
    Verdict,
    decide,
    matching_threshold,
    overlap,
    percentiles,
    rank_biased_overlap,
)


@pytest.mark.parametrize(
    ("old", "new", "depth", "wanted"),
    [
        ("abcde", "abcde", 5, 1.0),
        ("abcde", "edcba", 5, 1.0),
        ("abcde", "edcba", 2, 0.0),
        ("abcde", "abxyz", 5, 0.4),
        ("abc", "xyz", 10, 0.0),
        ("ab", "abcd", 10, 0.5),
        ("ab", "ab", 10, 1.0),
        ("", "", 10, 1.0),
    ],
)
def test_overlap(old: str, new: str, depth: int, wanted: float) -> None:
    assert overlap(list(old), list(new), depth) == pytest.approx(wanted)
    assert overlap(list(new), list(old), depth) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("old", "new", "p", "wanted"),
    [
        ("abc", "abc", 0.9, 1.0),
        ("abc", "xyz", 0.9, 0.0),
        # agreement 1, 1/2, 1 at depths 1, 2, 3: .1 (1 + .45 + .81) + .729
        ("abc", "acb", 0.9, 0.955),
        # agreement 0, 1, 2/3 at depths 1, 2, 3: .1 (0 + .9 + .54) + .729 * 2/3
        ("abc", "bax", 0.9, 0.63),
        # a wrong first place weighs more than a wrong last one: .5 (0 + .25 + .125 * 4/3) + .125 * 2/3
        ("abc", "xbc", 0.5, 0.5 * (0.5 * 1 / 2 + 0.25 * 2 / 3) + 0.125 * 2 / 3),
        # one list is shorter: agreement 1, 1, and at depth 3 the short list goes on as it was, 2/3 + 2 * 1 / (2 * 3)
        ("ab", "abx", 0.9, 1.0),
        # X = 1, 1, 2: .1 (1 + .9/2 + .81 * 2/3) + .1/.9 * (1 * 1 / 2 / 3) * .729 + (1/3 + 1/2) * .729
        ("ab", "acb", 0.9, 0.1 * (1 + 0.45 + 0.54) + 0.1 / 0.9 * 0.729 / 6 + (1 / 3 + 1 / 2) * 0.729),
        ("", "abc", 0.9, 0.0),
        ("", "", 0.9, 1.0),
    ],
)
def test_rank_biased_overlap(old: str, new: str, p: float, wanted: float) -> None:
    assert rank_biased_overlap(list(old), list(new), p) == pytest.approx(wanted, abs=1e-12)
    assert rank_biased_overlap(list(new), list(old), p) == pytest.approx(wanted, abs=1e-12)


def endless(old: Sequence[str], new: Sequence[str], p: float) -> float:
    """The sum over all depths, agreement going on behind the ends as the paper assumes."""
    short, long = sorted((list(old), list(new)), key=len)
    s, size = len(short), len(long)

    def shared(depth: int) -> int:
        return len(set(short[:depth]) & set(long[:depth]))

    def agreement(depth: int) -> float:
        if depth <= s:
            return shared(depth) / depth
        if depth <= size:
            return (shared(depth) + shared(s) * (depth - s) / s) / depth
        return agreement(size)

    return (1 - p) * math.fsum(p ** (depth - 1) * agreement(depth) for depth in range(1, 400))


@pytest.mark.parametrize("seed", range(8))
def test_the_closed_form_is_the_endless_sum(seed: int) -> None:
    random = np.random.default_rng(seed)
    old, new = ([str(name) for name in random.permutation(30)[: random.integers(1, 20)]] for _ in range(2))
    assert rank_biased_overlap(old, new, 0.9) == pytest.approx(endless(old, new, 0.9), abs=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.01, 0.05, Verdict.GO, "nowhere below the -0.010"),
        (-0.01, 0.05, Verdict.GO, "nowhere below"),
        (-0.009, -0.001, Verdict.GO, "nowhere below"),
        (-0.05, -0.011, Verdict.NO_GO, "all of it below the -0.010"),
        (-0.05, 0.05, Verdict.UNDECIDED, "-0.010 is inside: about 2,500 judged questions would decide"),
        (-0.04, 0.0, Verdict.UNDECIDED, "about 400 judged questions would decide"),
        (-0.031, 0.011, Verdict.UNDECIDED, "choose another tolerance"),
    ],
)
def test_verdicts(low: float, high: float, verdict: Verdict, words: str) -> None:
    decided, reason = decide(Interval((low + high) / 2, low, high), 0.01, 100)
    assert decided is verdict
    assert words in reason


def test_few_questions_decide_nothing() -> None:
    """The interval of one question has no width: without this rule it would say GO."""
    (interval,) = bootstrap(np.array([[0.2]]))
    assert interval.low == interval.high
    verdict, reason = decide(interval, 0.01, 1)
    assert verdict is Verdict.UNDECIDED
    assert reason == "1 judged questions are too few: 20 are the least to decide by"
    assert decide(interval, 0.01, FEWEST)[0] is Verdict.GO


def test_an_interval_that_spans_the_tolerance_decides_nothing() -> None:
    """The mean alone would say GO: it is +.005."""
    differences = np.array([[0.105], [-0.095]] * 20)
    (interval,) = bootstrap(differences)
    assert interval.mean == pytest.approx(0.005)
    assert decide(interval, 0.01, 40)[0] is Verdict.UNDECIDED


def test_percentiles_and_thresholds() -> None:
    old, new = np.linspace(0, 1, 101), np.linspace(0.5, 1, 101)
    assert percentiles(old)[25] == pytest.approx(0.25)
    assert percentiles(new)[90] == pytest.approx(0.95)
    matched = matching_threshold(0.8, old, new)
    assert matched.reached == pytest.approx(21 / 101)
    assert matched.new is not None
    assert matched.new == pytest.approx(0.9, abs=0.005)
    assert np.mean(new >= matched.new) == pytest.approx(matched.reached, abs=0.01)


@pytest.mark.parametrize(("threshold", "reached"), [(-0.1, 1.0), (1.1, 0.0)])
def test_a_threshold_outside_the_old_scores_has_no_match(threshold: float, reached: float) -> None:
    matched = matching_threshold(threshold, np.linspace(0, 1, 11), np.linspace(0, 1, 11))
    assert (matched.reached, matched.new) == (reached, None)
