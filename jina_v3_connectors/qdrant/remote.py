"""Layouts and searches in the words of qdrant-client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qdrant_client import models

from jina_v3_encoder.vectors import FloatArray

from ..fusion import RRF_K, fused_depth
from ..vectors import shortest
from .filters import Dialect, Translator
from .layout import OVERSAMPLED, WORDS, QdrantLayout
from .words import WordWeights, query_words

FILTERS = Translator(
    Dialect(models.Filter, models.FieldCondition, models.MatchAny, models.MatchValue, models.Range, bool)
)
_PINNED = models.Memory.PINNED
_QUANTIZATIONS: dict[str, Callable[[], Any]] = {
    "scalar": lambda: models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, memory=_PINNED)
    ),
    "binary": lambda: models.BinaryQuantization(binary=models.BinaryQuantizationConfig(memory=_PINNED)),
    "turbo": lambda: models.TurboQuantization(
        turbo=models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS4, memory=_PINNED)
    ),
}
RESCORED = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLED))


def collection_config(dimensions: int, layout: QdrantLayout) -> dict[str, Any]:
    """Arguments of `create_collection`: cosine vectors of the contract's size, and what the layout adds."""
    memory = models.Memory.COLD if layout.on_disk else None
    sizes = {name: rows.shape[1] for name, rows in layout.vectors(np.ones((1, dimensions), np.float32)).items()}
    config: dict[str, Any] = {
        "vectors_config": {
            name: models.VectorParams(
                size=size,
                distance=models.Distance.COSINE,
                datatype=models.Datatype(layout.datatype),
                memory=memory,
            )
            for name, size in sizes.items()
        }
    }
    if layout.hybrid:
        config["sparse_vectors_config"] = {WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)}
    if layout.quantization:
        config["quantization_config"] = _QUANTIZATIONS[layout.quantization]()
    if layout.on_disk:
        config["on_disk_payload"] = True
    return config


def sparse(weights: WordWeights) -> models.SparseVector:
    return models.SparseVector(indices=weights.indices, values=weights.values)


def query_request(
    row: FloatArray, limit: int, allowed: models.Filter | None, words: str | None, layout: QdrantLayout
) -> models.QueryRequest:
    """A search for one vector: direct, through the funnel, or with its ranks fused with those of words."""
    if words is None:
        return models.QueryRequest(
            query=shortest(row),
            using=layout.vector,
            prefetch=_stages(row, limit, allowed, layout),
            limit=limit,
            filter=allowed,
            params=_params(layout),
            with_payload=True,
        )
    fused = models.RrfQuery(rrf=models.Rrf(k=RRF_K))
    sides = _sides(row, limit, allowed, words, layout)
    return models.QueryRequest(query=fused, prefetch=sides, limit=limit, with_payload=True, with_vector=[layout.vector])


def score_requests(
    row: FloatArray, limit: int, allowed: models.Filter | None, words: str, layout: QdrantLayout
) -> tuple[models.QueryRequest, models.QueryRequest]:
    """The cosines of each side's best, and what words they share with the query. Ids and scores only."""
    sides, most = _sides(row, limit, allowed, words, layout), 2 * fused_depth(limit)
    dense, lexical = shortest(row), sparse(query_words(words))
    return (
        models.QueryRequest(query=dense, using=layout.vector, prefetch=sides, limit=most, params=_params(layout)),
        models.QueryRequest(query=lexical, using=WORDS, prefetch=sides, limit=most),
    )


def _sides(
    row: FloatArray, limit: int, allowed: models.Filter | None, words: str, layout: QdrantLayout
) -> list[models.Prefetch]:
    """The best by meaning, and the best by words."""
    kept, stages, params = fused_depth(limit), _stages(row, limit, allowed, layout), _params(layout)
    return [
        models.Prefetch(
            query=shortest(row), using=layout.vector, limit=kept, filter=allowed, prefetch=stages, params=params
        ),
        models.Prefetch(query=sparse(query_words(words)), using=WORDS, limit=kept, filter=allowed),
    ]


def _stages(row: FloatArray, limit: int, allowed: models.Filter | None, layout: QdrantLayout) -> models.Prefetch | None:
    """The funnel, if there is one."""
    stages: models.Prefetch | None = None
    slices = layout.vectors(row[None])
    for name, kept in layout.funnel(limit):
        query = shortest(slices[name][0])
        stages = models.Prefetch(query=query, using=name, limit=kept, filter=allowed, prefetch=stages)
    return stages


def _params(layout: QdrantLayout) -> models.SearchParams | None:
    return RESCORED if layout.quantization else None
