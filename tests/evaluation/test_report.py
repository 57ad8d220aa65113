"""Figures by variant and size: each is the measure of the same vectors, sliced."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.evaluation.dataset import Dataset, Passage
from jina_v3_connectors.evaluation.encoding import PassageEncoder, Variant
from jina_v3_connectors.evaluation.ranking import measure, rank
from jina_v3_connectors.evaluation.report import EvalReport, about, evaluate, needs_context
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


NAMED = Dataset(
    "named",
    [
        Passage("0", "The moon is far away.", "Moon"),
        Passage("1", "Nobody lives there.", "Moon"),
        Passage("2", "Tea is hot.", "Tea"),
        Passage("3", "Alone."),
    ],
    {"a": "How far is the moon?", "b": "Who lives on the moon?", "c": "Is it hot?", "d": "Alone?"},
    {"a": {"0": 1}, "b": {"1": 1, "0": 0}, "c": {"2": 1}, "d": {"3": 1}},
)


def test_questions_that_only_the_context_answers() -> None:
    relevance = {query: {p: grade for p, grade in grades.items() if grade} for query, grades in NAMED.relevance.items()}
    data = replace(NAMED, relevance=relevance)
    assert needs_context(data).tolist() == [False, True, False, False]
    assert about(data).tolist() == ["Moon", "Moon", "Tea", "3"]


def test_questions_that_only_the_context_answers_are_measured_apart(encoder: FakeEncoder) -> None:
    passages = PassageEncoder(encoder, "retrieval.passage", WholeDocument())
    variants = [Variant.ROWS, Variant.LATE, Variant.BLEND]
    one = replace(NAMED, queries={"b": NAMED.queries["b"]}, relevance={"b": {"1": 1}})
    whole = replace(NAMED, relevance={**NAMED.relevance, "b": {"1": 1}})
    apart, together = (evaluate(data, passages, variants=variants, dimensions=[64]) for data in (one, whole))
    ndcg = {figure.variant: figure.ndcg for figure in apart.figures}
    assert [row.context_questions for row in together.differences] == [1, 1]
    assert [row.context_ndcg for row in together.differences] == [ndcg[Variant.LATE], ndcg[Variant.BLEND]]


def test_names_are_words() -> None:
    numbered = [Passage("a", "It began.", "1"), Passage("b", "長城很長", "長城")]
    data = Dataset("n", numbered, {"q": "What began in 1914?", "r": "What is in 1?"}, {"q": {"a": 1}, "r": {"a": 1}})
    assert needs_context(data).tolist() == [False, True]
    chinese = Dataset("z", [Passage("b", "很長", "長城")], {"q": "長城有多長"}, {"q": {"b": 1}})
    assert needs_context(chinese).tolist() == [True]


def test_blends_are_left_out_where_a_row_cannot_be_read_alone() -> None:
    encoder = FakeEncoder(max_tokens=64)
    rows = [Passage("0", "word " * 100, "doc"), Passage("1", "short", "doc")]
    data = Dataset("long", rows, {"q": "short"}, {"q": {"1": 1}})
    notes: list[str] = []
    passages = PassageEncoder(encoder, "retrieval.passage", WholeDocument())
    report = evaluate(data, passages, variants=list(Variant)[::2], dimensions=[64], announce=notes.append)
    assert Variant.LATE in {figure.variant for figure in report.figures}
    report = evaluate(data, passages, variants=[Variant.ROWS, Variant.BLEND], dimensions=[64], announce=notes.append)
    assert [figure.variant for figure in report.figures] == [Variant.ROWS]
    assert notes[-1].startswith("blended chunks are left out: document 0, span 0: ")


def test_each_reading_is_compared_with_chunks_alone(encoder: FakeEncoder) -> None:
    passages = PassageEncoder(encoder, "retrieval.passage", WholeDocument())
    variants = [Variant.ROWS, Variant.LATE, Variant.BLEND]
    report = evaluate(DATA, passages, variants=variants, dimensions=[64])
    ndcg = {figure.variant: figure.ndcg for figure in report.figures}
    assert [(row.variant, row.minus) for row in report.differences] == [
        (Variant.LATE, Variant.ROWS),
        (Variant.BLEND, Variant.ROWS),
    ]
    for row in report.differences:
        assert row.all.mean == pytest.approx(ndcg[row.variant] - ndcg[Variant.ROWS])
        assert row.all.low <= row.all.mean <= row.all.high
        assert (row.context, row.context_ndcg, row.context_questions) == (None, None, 0)
        assert (row.documents, row.context_documents) == (2, 0)
    assert not evaluate(DATA, passages, variants=[Variant.LATE], dimensions=[64]).differences
