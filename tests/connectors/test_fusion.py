"""What becomes of two orders: toy scores, added by hand."""

from __future__ import annotations

from typing import Any

import pytest

from jina_v3_connectors.fusion import WORDS_WEIGHT, best_by_scores, fused_depth, fusion_of
from jina_v3_encoder.errors import InvalidInput

COSINES = {"a": 0.9, "b": 0.5, "c": 0.1}
"""Mean .5, deviation .3266: z-scores 1.2247, 0 and -1.2247."""


def test_z_scores_are_added() -> None:
    """Words: mean 4, deviation 5.6569, so a and b have -.7071, c has 1.4142."""
    sums = {"a": 1.2247 - 0.7071 * WORDS_WEIGHT, "b": -0.7071 * WORDS_WEIGHT, "c": -1.2247 + 1.4142 * WORDS_WEIGHT}
    expected = sorted(sums, key=lambda key: -sums[key])
    assert best_by_scores(COSINES, {"c": 12.0}, 3) == [(key, COSINES[key]) for key in expected]


@pytest.mark.parametrize(
    ("cosines", "shared", "order"),
    [
        ({"a": 0.9, "b": 0.89, "c": 0.1}, {"b": 5.0}, ["b", "a", "c"]),
        ({"a": 0.9, "b": 0.1, "c": 0.1, "d": 0.0}, {"c": 3.0, "b": 3.0}, ["a", "b", "c", "d"]),
        ({"b": 0.5, "a": 0.5, "c": 0.5}, {}, ["a", "b", "c"]),
        ({"a": 0.5, "b": 0.5, "c": 0.5}, {"c": 1.0}, ["c", "a", "b"]),
        (COSINES, {}, ["a", "b", "c"]),
        (COSINES, {"a": 2.0, "b": 2.0, "c": 2.0}, ["a", "b", "c"]),
        ({"a": -0.2}, {"a": 7.0}, ["a"]),
        ({}, {}, []),
    ],
    ids=["near-tie", "ties", "all-equal", "words-alone", "no-words", "same-words", "one", "none"],
)
def test_orders(cosines: dict[str, float], shared: dict[str, float], order: list[str]) -> None:
    assert [key for key, _ in best_by_scores(cosines, shared, 10)] == order
    backwards = dict(reversed(cosines.items()))
    assert [key for key, _ in best_by_scores(backwards, shared, 10)] == order, "whatever order a store gives them in"


@pytest.mark.parametrize("factor", [0.001, 1.0, 1000.0])
def test_the_size_of_a_backends_scores_does_not_matter(factor: float) -> None:
    cosines = {key: 1 / (1 + key) for key in range(30)}
    shared = {key: (key * 7 % 11) * factor for key in range(0, 30, 2)}
    assert best_by_scores(cosines, shared, 30) == best_by_scores(
        cosines, {key: score / factor for key, score in shared.items()}, 30
    )


def test_equal_scores_with_rounding_are_no_order() -> None:
    """The mean of 0.1 three times is not 0.1, and a deviation of 1e-17 would blow up what is no difference."""
    assert best_by_scores({"a": 0.1, "b": 0.1, "c": 0.1}, {"b": 0.1, "a": 0.1, "c": 0.1}, 3)[0] == ("a", 0.1)


def test_the_limit_holds() -> None:
    assert best_by_scores(COSINES, {}, 2) == [("a", 0.9), ("b", 0.5)]


def test_how_many_are_candidates() -> None:
    assert [fused_depth(limit) for limit in (1, 10, 32, 100)] == [64, 64, 64, 200]


@pytest.mark.parametrize(
    ("hybrid", "fusion"), [(False, None), (True, "ranks"), ("ranks", "ranks"), ("scores", "scores")], ids=str
)
def test_what_hybrid_asks_for(hybrid: Any, fusion: str | None) -> None:
    assert fusion_of(hybrid, "ranks") == fusion


@pytest.mark.parametrize("hybrid", [None, 1, "", "rank", "Scores", ["scores"]], ids=repr)
def test_what_hybrid_cannot_be(hybrid: Any) -> None:
    with pytest.raises(InvalidInput, match=r"hybrid must be True, False, 'ranks' or 'scores', got "):
        fusion_of(hybrid, "scores")
