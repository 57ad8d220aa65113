"""Collections of jina-embeddings-v2: no tasks, no prompts, and no way to mix them up with those of v3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors import ContractMismatch, Document
from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.settings import Settings, agree
from jina_v3_encoder import Encoder
from jina_v3_encoder.errors import InvalidDimensions
from jina_v3_encoder.testing import FakeEncoder, tiny_config, write_random_checkpoint
from jina_v3_encoder.text_encoder import TextEncoder

from ..support.backends import Sentences

DOCUMENTS = [
    Document("cats", "The black cat sleeps. It dreams of mice."),
    Document("moon", "The moon is far away. It has no air. " * 60),
]
SIZE = 96


@pytest.fixture(scope="module")
def v3(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A v3 whose full vectors are as long as those of v2, as 768 = 768 may be."""
    config = tiny_config(hidden_size=SIZE, num_attention_heads=6, matryoshka_dimensions=(32, SIZE))
    folder = write_random_checkpoint(tmp_path_factory.mktemp("v3"), config)
    return Encoder.from_pretrained(folder, dtype="float32", device="cpu")


def connect(encoder: TextEncoder, path: Path, **settings: Any) -> QdrantConnector:
    return QdrantConnector(encoder, "docs", path=path, chunker=Sentences(), **settings)


@pytest.mark.parametrize("late_chunking", [False, True])
def test_ingest_and_search(v2: Encoder, tmp_path: Path, late_chunking: bool) -> None:
    with connect(v2, tmp_path, late_chunking=late_chunking) as connector:
        report = connector.ingest(DOCUMENTS)
        assert report.documents == 2
        contract = connector.contract
        assert (contract.passage_task, contract.query_task, contract.prompts) == (None, None, False)
        assert (contract.dimensions, contract.fingerprint) == (SIZE, v2.fingerprint)
        best = connector.search("The black cat sleeps.", limit=1)[0]
        if not late_chunking:
            assert best.chunk.text == "The black cat sleeps."
            assert best.score == pytest.approx(1, abs=1e-5), "questions and passages are read alike"
    with connect(v2, tmp_path, late_chunking=late_chunking) as again:
        assert again.ingest(DOCUMENTS).unchanged == 2


def test_the_contract_is_read_back_as_it_was_written(v2: Encoder, tmp_path: Path) -> None:
    with connect(v2, tmp_path) as connector:
        connector.ingest(DOCUMENTS[:1])
        assert connector.stored is not None
        stored = connector.stored.contract
    assert EmbeddingContract.from_json(stored.to_json(), "docs") == stored


@pytest.mark.parametrize("filled_by", ["v2", "v3"])
def test_the_other_generation_is_refused_by_fingerprint(
    request: pytest.FixtureRequest, tmp_path: Path, filled_by: str
) -> None:
    """Also where both have vectors of the same length."""
    encoders: dict[str, Encoder] = {name: request.getfixturevalue(name) for name in ("v2", "v3")}
    right = encoders.pop(filled_by)
    (wrong,) = encoders.values()
    assert right.dimensions == wrong.dimensions
    with connect(right, tmp_path) as connector:
        connector.ingest(DOCUMENTS[:1])
    with pytest.raises(ContractMismatch) as caught:
        connect(wrong, tmp_path)
    assert caught.value.differences["fingerprint"] == (right.fingerprint, wrong.fingerprint)
    assert {"passage_task", "query_task", "prompts"} <= set(caught.value.differences)
    with connect(right, tmp_path) as connector:
        assert connector.count() == 2, "nothing was changed"


@pytest.mark.parametrize("size", [1, 32, SIZE - 1])
def test_slices_are_refused_before_a_collection_is_made(v2: Encoder, tmp_path: Path, size: int) -> None:
    with pytest.raises(InvalidDimensions, match=f"must be {SIZE}, got {size}: jina-embeddings-v2 was not trained for"):
        connect(v2, tmp_path, dimensions=size)
    assert not list(tmp_path.iterdir())
    with connect(v2, tmp_path, dimensions=SIZE) as connector:
        assert connector.contract.dimensions == SIZE


def test_any_encoder_without_tasks_has_such_a_contract() -> None:
    contract = agree(Settings(), FakeEncoder(tasks=()), None, "docs")
    assert (contract.passage_task, contract.query_task, contract.prompts) == (None, None, False)
    only_queries = agree(Settings(), FakeEncoder(tasks=("retrieval.query",)), None, "docs")
    assert (only_queries.passage_task, only_queries.query_task, only_queries.prompts) == (None, "retrieval.query", True)
