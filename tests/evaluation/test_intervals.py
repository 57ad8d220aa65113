"""Intervals of paired differences."""

from __future__ import annotations

import numpy as np
import pytest

from jina_v3_connectors.evaluation.intervals import bootstrap


def test_the_interval_of_two_values_is_known() -> None:
    """Of 100 questions 50 are one point better and 50 are equal: the mean is .5 and its deviation .05."""
    differences = np.repeat([[1.0], [0.0]], 50, axis=0)
    (interval,) = bootstrap(differences)
    assert interval.mean == pytest.approx(0.5)
    assert interval.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.006)
    assert interval.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.006)
    assert bootstrap(differences) == [interval], "the seed is fixed"


def test_all_measures_are_resampled_together() -> None:
    differences = np.random.default_rng(0).normal(size=(60, 1))
    first, second = bootstrap(np.hstack([differences, 2 * differences]))
    assert second.low == pytest.approx(2 * first.low)
    assert second.high == pytest.approx(2 * first.high)


def test_many_questions_are_resampled_in_blocks() -> None:
    (interval,) = bootstrap(np.repeat([[1.0], [-1.0]], 5_000, axis=0))
    assert interval.high == pytest.approx(1.96 * 0.01, abs=0.002)


def test_questions_about_one_document_are_resampled_together() -> None:
    """Ten documents of 100 equal questions tell no more than ten questions."""
    differences = np.repeat([[1.0], [0.0]], 5, axis=0)
    (few,) = bootstrap(differences)
    documents = [f"d{n}" for n in range(10) for _ in range(100)]
    (many,) = bootstrap(np.repeat(differences, 100, axis=0), documents)
    assert (many.mean, many.low, many.high) == pytest.approx((few.mean, few.low, few.high))
    (alone,) = bootstrap(np.repeat(differences, 100, axis=0))
    assert alone.high - alone.low < (many.high - many.low) / 5


def test_a_document_with_more_questions_counts_more() -> None:
    (interval,) = bootstrap(np.array([[1.0], [1.0], [1.0], [0.0]]), ["a", "a", "a", "b"])
    assert interval.mean == 0.75
    assert (interval.low, interval.high) == (0.0, 1.0)
