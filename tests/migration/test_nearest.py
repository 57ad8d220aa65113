"""The search of one pass against a search of all at once."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from jina_v3_connectors.migration.nearest import DIGITS, Nearest
from jina_v3_encoder.vectors import FloatArray


def units(rows: int, size: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).normal(size=(rows, size)).astype(np.float32)
    normalised: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


@pytest.mark.parametrize("page", [1, 7, 64, 1000])
def test_a_stream_gives_what_a_whole_search_gives(page: int) -> None:
    questions, vectors = units(5, 8, 0), units(400, 8, 1)
    documents = [f"d{number % 90}" for number in range(400)]
    keys = [f"k{number}" for number in range(400)]
    nearest = Nearest(questions, 10)
    for start in range(0, 400, page):
        nearest.add(documents[start : start + page], keys[start : start + page], vectors[start : start + page])
    scores = np.round(questions @ vectors.T, DIGITS)
    for question, hits in enumerate(nearest.rankings()):
        best: dict[str, float] = defaultdict(lambda: -2.0)
        for document, score in zip(documents, scores[question].tolist(), strict=True):
            best[document] = max(best[document], score)
        wanted = sorted(best.items(), key=lambda entry: (-entry[1], entry[0]))[:10]
        assert [(hit.document, hit.score) for hit in hits] == wanted
        for hit in hits:
            row = keys.index(hit.key)
            assert (documents[row], float(scores[question, row])) == (hit.document, hit.score)


def test_a_document_that_was_let_go_comes_back_with_its_better_record() -> None:
    question = np.array([[1.0, 0.0]], dtype=np.float32)
    nearest = Nearest(question, 1)
    for document, key, x in (("a", "a1", 0.5), ("b", "b1", 0.7), ("a", "a2", 0.9), ("b", "b2", 0.1)):
        nearest.add([document], [key], np.array([[x, np.sqrt(1 - x * x)]], dtype=np.float32))
    (hits,) = nearest.rankings()
    assert [(hit.document, hit.key) for hit in hits] == [("a", "a2")]


@pytest.mark.parametrize("order", [1, -1])
def test_equal_scores_stand_in_the_order_of_names(order: int) -> None:
    """Whatever came first: two collections with the same vectors must have the same ranking."""
    nearest = Nearest(np.array([[1.0, 0.0]], dtype=np.float32), 3)
    for name in ["a", "b", "c", "d", "e"][::order]:
        nearest.add([name], [name], np.array([[1.0, 0.0]], dtype=np.float32))
    assert [hit.document for hit in nearest.rankings()[0]] == ["a", "b", "c"]


def test_fewer_documents_than_wanted() -> None:
    nearest = Nearest(units(2, 4, 0), 10)
    nearest.add(["a", "b"], ["1", "2"], units(2, 4, 1))
    assert [len(hits) for hits in nearest.rankings()] == [2, 2]


def test_pages_are_smaller_with_more_questions() -> None:
    assert Nearest(units(1, 4, 0), 10).rows_at_once == 4096
    assert Nearest(units(100_000, 4, 0), 10).rows_at_once == 80
