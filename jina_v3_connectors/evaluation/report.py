"""Runs an evaluation and holds its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jina_v3_encoder.task import TaskLike

from .dataset import Dataset
from .encoding import PassageEncoder, Variant, Vectors
from .ranking import measure, rank


@dataclass(frozen=True)
class Figures:
    """Measures of one variant at one size. `inside` is nDCG@10 among the chunks of the right document only."""

    variant: Variant
    dimensions: int
    ndcg: float
    recall: float
    mrr: float
    inside: float | None
    kept: float
    """Share of the same variant's nDCG@10 at the full size."""


@dataclass
class EvalReport:
    """Figures of one model on one dataset."""

    dataset: str
    model: str
    fingerprint: str
    queries: int
    passages: int
    query_task: str | None
    passage_task: str | None
    figures: list[Figures] = field(default_factory=list)
    vectors: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(
    dataset: Dataset,
    passages: PassageEncoder,
    *,
    variants: Sequence[Variant],
    dimensions: Sequence[int],
    query_task: TaskLike = "retrieval.query",
    announce: Callable[[str], None] = lambda _: None,
) -> EvalReport:
    """Encode once per variant at full size, then slice: measures for every variant and size, largest size first."""
    encoder = passages.encoder
    report = EvalReport(
        dataset.name,
        encoder.model_id,
        encoder.fingerprint,
        len(dataset.queries),
        len(dataset.passages),
        query_task and str(query_task),
        passages.task and str(passages.task),
    )
    announce(f"{len(dataset.queries):,} queries")
    query_vectors = encoder.encode(
        list(dataset.queries.values()), task=query_task, truncate=True, progress=passages.progress
    )
    for variant in variants:
        announce(f"{len(dataset.passages):,} passages, {variant}")
        passage_vectors = passages.encode(dataset, variant)
        report.vectors[variant] = len(passage_vectors.values)
        report.figures += _figures(dataset, query_vectors, passage_vectors, variant, dimensions)
    return report


def _figures(
    dataset: Dataset, query_vectors: Any, passage_vectors: Vectors, variant: Variant, dimensions: Sequence[int]
) -> Iterator[Figures]:
    full = query_vectors.shape[1]
    whole = measure(dataset.relevance, rank(dataset, query_vectors, passage_vectors, full))
    for size in sorted(dimensions, reverse=True):
        scores = (
            whole if size == full else measure(dataset.relevance, rank(dataset, query_vectors, passage_vectors, size))
        )
        inside = None
        if dataset.chunked:
            in_document = rank(dataset, query_vectors, passage_vectors, size, own_document=True)
            inside = measure(dataset.relevance, in_document)["ndcg"]
        kept = scores["ndcg"] / whole["ndcg"] if whole["ndcg"] else 0.0
        yield Figures(variant, size, **scores, inside=inside, kept=kept)
