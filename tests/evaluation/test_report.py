"""Figures by variant and size: each is the measure of the same vectors, sliced."""

from __future__ import annotations

import json

import pytest

from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.evaluation.dataset import Dataset, Passage
from jina_v3_connectors.evaluation.encoding import PassageEncoder, Variant
from jina_v3_connectors.evaluation.ranking import measure, rank
from jina_v3_connectors.evaluation.report import EvalReport, evaluate
from jina_v3_encoder.testing import FakeEncoder

SUBJECTS = ("tea", "ice", "sea", "sun", "moon", "wind", "fire", "iron", "salt", "wood", "rain", "sand")
DATA = Dataset(
    "weather",
    [Passage(f"p{n}", f"{subject} is number {n}", "doc" if n < 6 else "other") for n, subject in enumerate(SUBJECTS)],
    {f"q{n}": f"which number is {subject}?" for n, subject in enumerate(SUBJECTS)},
    {f"q{n}": {f"p{n}": 1} for n in range(len(SUBJECTS))},
)


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


def run(encoder: FakeEncoder, dimensions: list[int], **settings: str | None) -> EvalReport:
    passages = PassageEncoder(encoder, "retrieval.passage", WholeDocument())
    variants = [Variant.ROWS, Variant.LATE]
    return evaluate(DATA, passages, variants=variants, dimensions=dimensions, **settings)  # type: ignore[arg-type]


def test_each_figure_is_that_of_the_slice(encoder: FakeEncoder) -> None:
    report = run(encoder, [8, 64])
    assert [(figure.variant, figure.dimensions) for figure in report.figures] == [
        (Variant.ROWS, 64),
        (Variant.ROWS, 8),
        (Variant.LATE, 64),
        (Variant.LATE, 8),
    ]
    query_vectors = encoder.encode(list(DATA.queries.values()), task="retrieval.query")
    passages = PassageEncoder(encoder, "retrieval.passage", WholeDocument())
    for figure in report.figures:
        passage_vectors = passages.encode(DATA, figure.variant)
        wanted = measure(DATA.relevance, rank(DATA, query_vectors, passage_vectors, figure.dimensions))
        assert (figure.ndcg, figure.recall, figure.mrr) == (wanted["ndcg"], wanted["recall"], wanted["mrr"])
        assert figure.inside is not None
        assert figure.inside >= figure.ndcg, "fewer passages compete"
    assert report.figures[0].kept == 1.0
    assert report.figures[1].kept == pytest.approx(report.figures[1].ndcg / report.figures[0].ndcg)


def test_what_is_compared_stands_in_the_report(encoder: FakeEncoder) -> None:
    report = run(encoder, [64], query_task=None)
    assert (report.query_task, report.passage_task) == (None, "retrieval.passage")
    assert (report.queries, report.passages) == (12, 12)
    assert report.fingerprint == encoder.fingerprint
    assert report.vectors == {"each row alone": 12, "late chunks": 12}
    assert json.loads(json.dumps(report.to_dict()))["figures"][0]["variant"] == "each row alone"


def test_the_full_size_is_the_measure_of_what_is_kept(encoder: FakeEncoder) -> None:
    """Even when it is not asked for."""
    (first, _) = run(encoder, [8]).figures
    (_, second, *_) = run(encoder, [64, 8]).figures
    assert first.kept == second.kept


def test_the_query_task_matters(encoder: FakeEncoder) -> None:
    assert run(encoder, [8]).figures != run(encoder, [8], query_task="separation").figures
