"""Runs an evaluation and holds its figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import TaskLike

from .dataset import Dataset
from .encoding import PassageEncoder, Variant, Vectors
from .intervals import FEWEST, Floats, Interval, bootstrap
from .ranking import Run, measure, measure_each, rank


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


@dataclass(frozen=True)
class Difference:
    """nDCG@10 of a variant minus that of another, at full size, over the same questions."""

    variant: Variant
    minus: Variant
    dimensions: int
    """The full size."""
    all: Interval
    context: Interval | None
    """Of the questions that name a document whose right chunks do not: only the context tells what these are about."""
    context_ndcg: float | None
    """Of the variant itself, for these questions."""
    context_questions: int
    documents: int
    """That the questions are about: the interval is one of documents, and says little of fewer than `FEWEST`."""
    context_documents: int


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
    differences: list[Difference] = field(default_factory=list)
    """Of each way to read chunks to each chunk alone, where both are measured."""
    vectors: dict[str, int] = field(default_factory=dict)
    chunker: str | None = None
    """The name of the chunker that is compared with others."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values. An interval of too few documents has neither end."""
        values = asdict(self)
        for difference in values["differences"]:
            for interval, documents in (("all", "documents"), ("context", "context_documents")):
                if difference[interval] is not None and difference[documents] < FEWEST:
                    difference[interval] |= {"low": None, "high": None}
        return values


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
    questions: dict[Variant, Floats] = {}
    for variant in variants:
        announce(f"{len(dataset.passages):,} passages, {variant}")
        try:
            passage_vectors = passages.encode(dataset, variant)
        except InvalidInput as error:
            if variant is not Variant.BLEND or not report.figures:
                raise
            announce(f"{variant} are left out: {error}")
            continue
        report.vectors[variant] = len(passage_vectors.values)
        ranked = rank(dataset, query_vectors, passage_vectors, encoder.dimensions)
        report.figures += _figures(dataset, query_vectors, passage_vectors, variant, dimensions, ranked)
        each = measure_each(dataset.relevance, ranked)
        questions[variant] = np.array([[each[query]["ndcg"]] for query in dataset.relevance])
    report.differences += _differences(dataset, questions, encoder.dimensions)
    return report


def _differences(dataset: Dataset, questions: Mapping[Variant, Floats], dimensions: int) -> Iterator[Difference]:
    """The readings of chunks beside each chunk alone."""
    alone = next((variant for variant in (Variant.CHUNKS, Variant.ROWS) if variant in questions), None)
    documents = about(dataset)
    context = needs_context(dataset)
    for variant in (Variant.LATE, Variant.BLEND):
        if alone is not None and variant in questions:
            difference = questions[variant] - questions[alone]
            (everything,) = bootstrap(difference, documents)
            some = bootstrap(difference[context], documents[context])[0] if context.any() else None
            ndcg = float(questions[variant][context].mean()) if context.any() else None
            counts = (int(context.sum()), len(set(documents)), len(set(documents[context])))
            yield Difference(variant, alone, dimensions, everything, some, ndcg, *counts)


def _names(text: str, name: str) -> bool:
    """Whether a text holds a name as words of their own, whatever their case."""
    pattern = rf"(?<![0-9A-Za-z]){re.escape(name)}(?![0-9A-Za-z])"
    return re.search(pattern, text, re.IGNORECASE) is not None


def about(dataset: Dataset) -> NDArray[np.str_]:
    """The document that each judged question is about: that of its best passage, or the passage itself."""
    document = {passage.id: passage.document or passage.id for passage in dataset.passages}
    return np.array([document[max(grades, key=lambda p: grades[p])] for grades in dataset.relevance.values()])


def needs_context(dataset: Dataset) -> NDArray[np.bool_]:
    """Whether each judged question names the document of its right chunks, and none of these chunks does."""
    passages = {passage.id: passage for passage in dataset.passages}

    def needs(query: str, right: Collection[str]) -> bool:
        names = [document for name in right if (document := passages[name].document) is not None]
        texts = [passages[name].text for name in right]
        return any(_names(dataset.queries[query], name) and not any(_names(t, name) for t in texts) for name in names)

    return np.array([needs(query, grades) for query, grades in dataset.relevance.items()])


def _figures(
    dataset: Dataset,
    query_vectors: Any,
    passage_vectors: Vectors,
    variant: Variant,
    dimensions: Sequence[int],
    ranked: Run,
) -> Iterator[Figures]:
    """`ranked` are the passages at the full size."""
    full = query_vectors.shape[1]
    whole = measure(dataset.relevance, ranked)
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
