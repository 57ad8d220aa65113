"""A chunk survives the way into a point and out of a hit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qdrant_edge import EdgeShard, UpdateOperation

from jina_v3_connectors import Chunk, EmbeddingContract
from jina_v3_connectors.qdrant.convert import chunks_from, nearest_request, to_hit, to_payload, to_points
from jina_v3_connectors.qdrant.schema import edge_config

CHUNKS = [
    Chunk(
        "notes/é.md", number, number * 10, number * 10 + 9, f"text {number} 東京", {"lang": "fr", "deep": {"n": number}}
    )
    for number in range(4)
]
VECTORS = np.eye(4, 8, dtype=np.float32)


@pytest.fixture
def shard(tmp_path: Path) -> EdgeShard:
    shard = EdgeShard.create(str(tmp_path), edge_config(EmbeddingContract("m", None, "f", 8, "c")))
    shard.update(UpdateOperation.upsert_points(to_points(CHUNKS, VECTORS)))
    return shard


def test_nothing_is_lost(shard: EdgeShard) -> None:
    for chunk, vector in zip(CHUNKS, VECTORS, strict=True):
        (best, *_) = shard.query(nearest_request(vector, 2))
        hit = to_hit(best)
        assert hit.chunk == chunk
        assert hit.score == pytest.approx(1.0)
        assert hit.to_dict()["id"] == str(chunk.id)


def test_the_payload_is_plain(shard: EdgeShard) -> None:
    payload = to_payload(CHUNKS[1])
    assert payload["metadata"] == {"lang": "fr", "deep": {"n": 1}}
    assert payload["metadata"] is not CHUNKS[1].metadata
    assert (payload["start"], payload["end"], payload["chunk"]) == (10, 19, 1)


def test_the_tail_of_a_document(shard: EdgeShard) -> None:
    """What is deleted when a document shrinks: its later chunks, and no other document's."""
    shard.update(UpdateOperation.upsert_points(to_points([Chunk("other", 3, 0, 1, "x")], VECTORS[:1])))
    shard.update(UpdateOperation.delete_points_by_filter(chunks_from("notes/é.md", 2)))
    left = {
        (hit.chunk.document_id, hit.chunk.number) for hit in map(to_hit, shard.query(nearest_request(VECTORS[0], 9)))
    }
    assert left == {("notes/é.md", 0), ("notes/é.md", 1), ("other", 3)}


def test_the_limit_is_kept(shard: EdgeShard) -> None:
    assert len(shard.query(nearest_request(VECTORS[0], 3))) == 3
