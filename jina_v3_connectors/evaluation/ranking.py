"""Vectors to ranked passages, and ranked passages to measures by `ir-measures`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.vectors import FloatArray, finish

from .dataset import Dataset
from .encoding import Vectors

DEPTH = 100
QUERIES_AT_ONCE = 64
IntArray = NDArray[np.int64]
Run = dict[str, dict[str, float]]


def load_measures() -> Any:
    """The `ir_measures` module.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import ir_measures
    except ImportError:
        raise MissingExtra("ir-measures", "eval") from None
    return ir_measures


def sliced(vectors: FloatArray, dimensions: int) -> FloatArray:
    """Matryoshka slices (n, dimensions), renormalised."""
    return finish(vectors[:, :dimensions].copy(), normalize=True)


def rank(
    dataset: Dataset, queries: FloatArray, passages: Vectors, dimensions: int, *, own_document: bool = False
) -> Run:
    """The `DEPTH` best passages of each query by cosine of slices, a passage counting as its best vector.

    With `own_document` only passages of the documents that hold a relevant one compete.
    """
    query_vectors, passage_vectors = sliced(queries, dimensions), sliced(passages.values, dimensions)
    first = np.flatnonzero(np.diff(passages.owners, prepend=-1))
    owners = passages.owners[first]
    allowed = _own_documents(dataset, owners) if own_document else None
    run: Run = {}
    identifiers = list(dataset.queries)
    for start in range(0, len(identifiers), QUERIES_AT_ONCE):
        scores = query_vectors[start : start + QUERIES_AT_ONCE] @ passage_vectors.T
        best = np.maximum.reduceat(scores, first, axis=1)
        for identifier, row in zip(identifiers[start : start + QUERIES_AT_ONCE], best, strict=True):
            candidates = np.arange(len(row)) if allowed is None else allowed[identifier]
            run[identifier] = _best(dataset, owners, row, candidates)
    return run


def _best(
    dataset: Dataset, owners: NDArray[np.int64], scores: FloatArray, candidates: NDArray[np.int64]
) -> dict[str, float]:
    if len(candidates) > DEPTH:
        candidates = candidates[np.argpartition(-scores[candidates], DEPTH)[:DEPTH]]
    return {dataset.passages[owners[n]].id: float(scores[n]) for n in candidates}


def _own_documents(dataset: Dataset, owners: IntArray) -> Mapping[str, IntArray]:
    document = {passage.id: passage.document or passage.id for passage in dataset.passages}
    rows_of: dict[str, list[int]] = {}
    for row, owner in enumerate(owners):
        rows_of.setdefault(document[dataset.passages[owner].id], []).append(row)
    return {
        query: np.array(sorted({n for name in {document[p] for p in right} for n in rows_of.get(name, [])}), dtype=int)
        for query, right in dataset.relevance.items()
    }


def measure(relevance: Mapping[str, Mapping[str, int]], run: Run) -> dict[str, float]:
    """nDCG@10, recall@10 and MRR@10 over all judged queries."""
    library = load_measures()
    measures = _measures(library)
    scores = library.calc_aggregate(list(measures), relevance, run)
    return {name: float(scores[key]) for key, name in measures.items()}


def measure_each(relevance: Mapping[str, Mapping[str, int]], run: Run) -> dict[str, dict[str, float]]:
    """The same for each judged query by itself. A query that found nothing has zeros."""
    library = load_measures()
    measures = _measures(library)
    each = {query: dict.fromkeys(measures.values(), 0.0) for query in relevance}
    for result in library.iter_calc(list(measures), relevance, run):
        each[result.query_id][measures[result.measure]] = float(result.value)
    return each


def _measures(library: Any) -> dict[Any, str]:
    return {library.nDCG @ 10: "ndcg", library.R @ 10: "recall", library.RR @ 10: "mrr"}
