"""Layouts and searches in the words of the embedded engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qdrant_edge import (
    BinaryQuantizationConfig,
    Distance,
    EdgeConfig,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    Fusion,
    MatchAny,
    MatchValue,
    Memory,
    Modifier,
    PayloadSchemaType,
    Prefetch,
    QuantizationSearchParams,
    Query,
    QueryRequest,
    RangeFloat,
    ScalarQuantizationConfig,
    ScalarType,
    SearchParams,
    SparseVector,
    TurboQuantBitSize,
    TurboQuantQuantizationConfig,
    VectorStorageDatatype,
)

from jina_v3_encoder.vectors import FloatArray

from ..fusion import RRF_K, fused_depth
from .filters import Dialect, Translator
from .layout import OVERSAMPLED, VECTOR, WORDS, QdrantLayout
from .words import query_words

FILTERS = Translator(Dialect(Filter, FieldCondition, MatchAny, MatchValue, RangeFloat, np.bool_))
"""The engine's binding would read a plain bool as an int."""
INDEX_KINDS = {kind.lower(): getattr(PayloadSchemaType, kind) for kind in dir(PayloadSchemaType) if kind[0].isupper()}
_DATATYPES = {"float32": VectorStorageDatatype.Float32, "float16": VectorStorageDatatype.Float16}
_QUANTIZATIONS: dict[str, Callable[[], Any]] = {
    "scalar": lambda: ScalarQuantizationConfig(ScalarType.Int8, quantile=0.99, memory=Memory.Pinned),
    "binary": lambda: BinaryQuantizationConfig(memory=Memory.Pinned),
    "turbo": lambda: TurboQuantQuantizationConfig(bits=TurboQuantBitSize.Bits4, memory=Memory.Pinned),
}
RESCORED = SearchParams(quantization=QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLED))


def edge_config(dimensions: int, layout: QdrantLayout) -> EdgeConfig:
    """Cosine vectors of the contract's size, and what the layout adds."""
    memory = Memory.Cold if layout.on_disk else None
    sizes = {name: rows.shape[1] for name, rows in layout.vectors(np.ones((1, dimensions), np.float32)).items()}
    vectors = {
        name: EdgeVectorParams(size, Distance.Cosine, datatype=_DATATYPES[layout.datatype], memory=memory)
        for name, size in sizes.items()
    }
    words = {WORDS: EdgeSparseVectorParams(modifier=Modifier.Idf)} if layout.hybrid else None
    quantization = _QUANTIZATIONS[layout.quantization]() if layout.quantization else None
    return EdgeConfig(
        vectors=vectors, sparse_vectors=words, quantization_config=quantization, on_disk_payload=layout.on_disk or None
    )


def sparse(indices: list[int], values: list[float]) -> SparseVector:
    return SparseVector(indices=indices, values=values)


def query_request(
    row: FloatArray, limit: int, allowed: Filter | None, words: str | None, layout: QdrantLayout
) -> QueryRequest:
    """A search for one vector: direct, through the funnel, or with its ranks fused with those of words."""
    if words is None:
        params, stages = _params(layout), _stages(row, limit, allowed, layout)
        return QueryRequest(
            limit, query=_dense(row), prefetches=stages, filter=allowed, params=params, with_payload=True
        )
    fused: Any = Fusion.Rrf(k=RRF_K)
    sides = _sides(row, limit, allowed, words, layout)
    return QueryRequest(limit, query=fused, prefetches=sides, with_payload=True, with_vector=[VECTOR])


def score_requests(
    row: FloatArray, limit: int, allowed: Filter | None, words: str, layout: QdrantLayout
) -> tuple[QueryRequest, QueryRequest]:
    """The cosines of each side's best, and what words they share with the query. Ids and scores only."""
    sides, most = _sides(row, limit, allowed, words, layout), 2 * fused_depth(limit)
    return (
        QueryRequest(most, query=_dense(row), prefetches=sides, params=_params(layout)),
        QueryRequest(most, query=_lexical(words), prefetches=sides),
    )


def _sides(row: FloatArray, limit: int, allowed: Filter | None, words: str, layout: QdrantLayout) -> list[Prefetch]:
    """The best by meaning, and the best by words."""
    kept, stages = fused_depth(limit), _stages(row, limit, allowed, layout)
    return [
        Prefetch(kept, query=_dense(row), prefetches=stages, filter=allowed, params=_params(layout)),
        Prefetch(kept, query=_lexical(words), filter=allowed),
    ]


def _stages(row: FloatArray, limit: int, allowed: Filter | None, layout: QdrantLayout) -> list[Prefetch] | None:
    """The funnel, if there is one."""
    stages = None
    slices = layout.vectors(row[None])
    for name, kept in layout.funnel(limit):
        query = Query.Nearest(slices[name][0].tolist(), using=name)
        stages = [Prefetch(kept, query=query, prefetches=stages, filter=allowed)]
    return stages


def _dense(row: FloatArray) -> Query:
    return Query.Nearest(row.tolist(), using=VECTOR)


def _lexical(words: str) -> Query:
    return Query.Nearest(sparse(*query_words(words)), using=WORDS)


def _params(layout: QdrantLayout) -> SearchParams | None:
    return RESCORED if layout.quantization else None
