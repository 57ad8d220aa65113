"""Ranks and measures against values worked out by hand."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from jina_v3_connectors.evaluation.dataset import Dataset, Passage
from jina_v3_connectors.evaluation.encoding import Vectors
from jina_v3_connectors.evaluation.ranking import DEPTH, load_measures, measure, measure_each, rank, sliced
from jina_v3_encoder.errors import InvalidVector, MissingExtra


def vectors(rows: list[list[float]], owners: list[int] | None = None) -> Vectors:
    return Vectors(np.array(rows, dtype=np.float32), np.array(owners if owners is not None else range(len(rows))))


def dataset(passages: int, relevance: dict[str, dict[str, int]], documents: list[str] | None = None) -> Dataset:
    names = documents or [None] * passages  # type: ignore[list-item]
    return Dataset(
        "d", [Passage(f"p{n}", "text", names[n]) for n in range(passages)], dict.fromkeys(relevance, "?"), relevance
    )


def test_measures_by_hand() -> None:
    relevance = {"q": {"p1": 1}, "r": {"p0": 1}}
    run = {"q": {"p0": 0.9, "p1": 0.5}, "r": {"p0": 0.9, "p1": 0.5}}
    measures = measure(relevance, run)
    assert measures["ndcg"] == pytest.approx((1 / math.log2(3) + 1) / 2)
    assert measures["recall"] == 1.0
    assert measures["mrr"] == pytest.approx(0.75)


def test_the_eleventh_place_counts_nothing() -> None:
    run = {"q": {f"p{n}": 1 - n / 100 for n in range(12)}}
    assert measure({"q": {"p10": 1}}, run) == {"ndcg": 0.0, "recall": 0.0, "mrr": 0.0}


def test_queries_that_found_nothing_count_as_zero() -> None:
    assert measure({"q": {"p0": 1}, "r": {"p0": 1}}, {"q": {"p0": 1.0}})["ndcg"] == pytest.approx(0.5)


def test_each_query_by_itself() -> None:
    each = measure_each({"q": {"p0": 1}, "r": {"p1": 1}, "s": {"p0": 1}}, {"q": {"p0": 0.9}, "r": {"p0": 1, "p1": 0.5}})
    assert each["q"] == {"ndcg": 1.0, "recall": 1.0, "mrr": 1.0}
    assert each["r"] == {"ndcg": pytest.approx(1 / math.log2(3)), "recall": 1.0, "mrr": 0.5}
    assert each["s"] == {"ndcg": 0.0, "recall": 0.0, "mrr": 0.0}


def test_grades_weigh() -> None:
    best = measure({"q": {"p0": 3, "p1": 1}}, {"q": {"p0": 0.9, "p1": 0.5}})["ndcg"]
    worse = measure({"q": {"p0": 3, "p1": 1}}, {"q": {"p0": 0.5, "p1": 0.9}})["ndcg"]
    assert best == pytest.approx(1.0)
    assert worse < best


def test_slices_are_renormalised() -> None:
    """By plain dot products p0 would win; by cosine of one component both are equal, by two p1 wins."""
    passages = vectors([[0.9, 0.1, 0.42], [0.5, 0.5, 0.7]])
    queries = np.array([[0.7, 0.7, 0.1]], dtype=np.float32)
    run = rank(dataset(2, {"q": {"p1": 1}}), queries, passages, 2)["q"]
    assert run["p1"] == pytest.approx(1.0)
    assert run["p0"] == pytest.approx((0.9 + 0.1) / math.sqrt(2 * 0.82), abs=1e-6)
    assert np.allclose(np.linalg.norm(sliced(passages.values, 2), axis=1), 1)
    assert passages.values[0, 2] == np.float32(0.42), "the input is left as it is"


def test_a_zero_slice_is_refused() -> None:
    with pytest.raises(InvalidVector, match=r"vector 0 of 1 has norm 0\.0 over 1 dimensions"):
        sliced(np.array([[0.0, 1.0]], dtype=np.float32), 1)


def test_a_passage_scores_as_its_best_chunk() -> None:
    passages = vectors([[1, 0], [0, 1], [0.8, 0.6]], [0, 0, 2])
    run = rank(dataset(3, {"q": {"p0": 1}}), np.array([[0.0, 1.0]], dtype=np.float32), passages, 2)["q"]
    assert run == {"p0": pytest.approx(1.0), "p2": pytest.approx(0.6)}, "p1 is blank and has no vector"


def test_only_the_right_document_competes() -> None:
    data = dataset(4, {"q": {"p1": 1}}, ["x", "x", "y", "y"])
    queries = np.array([[1.0, 0.0]], dtype=np.float32)
    passages = vectors([[0.5, 0.5], [0.6, 0.4], [1, 0], [0.9, 0.1]])
    assert set(rank(data, queries, passages, 2)["q"]) == {"p0", "p1", "p2", "p3"}
    assert set(rank(data, queries, passages, 2, own_document=True)["q"]) == {"p0", "p1"}


def test_only_the_best_are_kept() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(500, 8)).astype(np.float32)
    asked = random.normal(size=(130, 8)).astype(np.float32)
    data = dataset(500, {f"q{n}": {"p0": 1} for n in range(130)})
    run = rank(data, asked, Vectors(values, np.arange(500)), 8)
    cosines = sliced(asked, 8) @ sliced(values, 8).T
    for number in (0, 63, 64, 129):
        wanted = {f"p{n}" for n in np.argsort(-cosines[number])[:DEPTH]}
        assert set(run[f"q{number}"]) == wanted


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(MissingExtra, match=r"pip install 'jina-v3-connectors\[eval\]'"):
        load_measures()
