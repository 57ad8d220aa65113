"""Layouts of Qdrant collections: the same hits, differently stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from jina_v3_connectors import Document, WholeDocument
from jina_v3_connectors.fusion import fused_depth
from jina_v3_connectors.qdrant import QdrantConnector, QdrantLayout
from jina_v3_connectors.qdrant.engine import edge_config
from jina_v3_connectors.qdrant.filters import metadata_key
from jina_v3_connectors.qdrant.remote import collection_config, query_request
from jina_v3_connectors.qdrant.words import document_words, query_words
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

LAYOUTS = [
    QdrantLayout(),
    QdrantLayout(slices=(32, 48)),
    QdrantLayout(datatype="float16"),
    QdrantLayout(quantization="scalar"),
    QdrantLayout(quantization="binary"),
    QdrantLayout(quantization="turbo"),
    QdrantLayout(on_disk=True, quantization="scalar", slices=(48,), hybrid=True),
    QdrantLayout(indexes={"n": "integer", "lang": "keyword"}),
]


def documents() -> Iterator[Document]:
    return (Document(str(n), f"text number {n} of many", {"n": n, "lang": "de"}) for n in range(300))


@pytest.fixture(params=["embedded", "memory"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    if request.param == "embedded":
        yield {"path": tmp_path / "store"}
        return
    client = QdrantClient(":memory:")
    yield {"client": client}
    client.close()


def connect(database: dict[str, Any], **settings: Any) -> QdrantConnector:
    return QdrantConnector(FakeEncoder(), "docs", chunker=WholeDocument(), **database, **settings)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_hits_are_right_and_scores_cosines(database: dict[str, Any], layout: QdrantLayout) -> None:
    encoder = FakeEncoder()
    with connect(database, layout=layout) as store:
        store.ingest(documents())
    with connect(database) as store:
        assert store.stored is not None
        assert store.stored.layout == layout
        for number in (7, 42, 123):
            question = f"text number {number} of many"
            best, *_ = store.search(question, limit=5, filter={"n": {"gte": 5}})
            assert best.chunk.document_id == str(number)
            query = encoder.encode(question, task="retrieval.query")
            passage = encoder.encode(best.chunk.text, task="retrieval.passage")
            assert best.score == pytest.approx(float(query @ passage), abs=2e-3)


def test_slices_are_stored_renormalised(tmp_path: Path) -> None:
    layout = QdrantLayout(slices=(8, 16))
    full = FakeEncoder().encode(["one", "two"], task="retrieval.passage")
    named = layout.vectors(full)
    assert list(named) == ["dense", "dense_8", "dense_16"]
    for rows in named.values():
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.allclose(named["dense_8"], FakeEncoder().encode(["one", "two"], task="retrieval.passage", dimensions=8))


def test_the_funnel_narrows() -> None:
    layout = QdrantLayout(slices=(8, 16))
    (first, many), (second, fewer) = layout.funnel(10)
    assert (first, second) == ("dense_8", "dense_16")
    assert many > fewer >= 64
    assert QdrantLayout().funnel(10) == []
    request = query_request(np.ones(32, dtype=np.float32), 10, None, None, layout)
    assert isinstance(request.prefetch, models.Prefetch)
    assert (request.using, request.prefetch.using) == ("dense", "dense_16")
    assert isinstance(request.prefetch.prefetch, models.Prefetch)
    assert request.prefetch.prefetch.using == "dense_8"
    assert fused_depth(100) == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"slices": (16, 8)},
        {"slices": (0,)},
        {"slices": (8, 8)},
        {"slices": ("8",)},
        {"datatype": "int8"},
        {"quantization": "product"},
        {"indexes": {"n": "number"}},
    ],
    ids=str,
)
def test_bad_layouts(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(settings)).removesuffix("es")):
        QdrantLayout(**settings)


def test_a_slice_must_be_smaller_than_the_vector(database: dict[str, Any]) -> None:
    with (
        connect(database, dimensions=16, layout=QdrantLayout(slices=(16,))) as store,
        pytest.raises(InvalidInput, match="smaller than the vectors' 16 dimensions"),
    ):
        store.ingest(documents())


def test_hybrid_belongs_in_the_layout(database: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="inside the layout"):
        connect(database, layout=QdrantLayout(), hybrid=True)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_servers_and_engine_are_configured_alike(layout: QdrantLayout) -> None:
    config = collection_config(64, layout)
    edge = edge_config(64, layout)
    assert set(config["vectors_config"]) == set(edge.vectors)
    for name, vector in config["vectors_config"].items():
        assert vector.size == edge.vectors[name].size
        assert vector.distance is models.Distance.COSINE
        assert vector.datatype.value == layout.datatype
    assert ("quantization_config" in config) == (edge.quantization_config is not None)
    assert ("sparse_vectors_config" in config) == bool(edge.sparse_vectors)


def test_word_weights() -> None:
    weights = document_words("Moon, moon and the Sun; Überraschung!")
    assert len(weights.indices) == len(weights.values) == len(set(weights.indices)) == 5
    assert set(query_words("MOON überraschung").indices) < set(weights.indices)
    assert document_words("").indices == []


def test_an_index_names_the_hits_own_fields_or_metadata() -> None:
    assert [metadata_key(name) for name in ("chunk", "document_id")] == ["chunk", "document_id"]
    assert metadata_key("author.first-name") == 'metadata."author"."first-name"'
