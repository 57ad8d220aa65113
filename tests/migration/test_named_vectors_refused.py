"""Where no second named vector can stand, or must not be touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qdrant_client import models

from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.migration.in_place import begun_in_place
from jina_v3_connectors.migration.opening import Sides, spec_of
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.state import STATE_VARIABLE

from ..servers.qdrant import qdrant_server
from .moving import NEW_SIZE, OLD, corpus, fill
from .test_named_vectors import FRESH, client_of, foreign, spec_in_place


def test_a_vector_that_somebody_else_made_is_not_touched(url: str) -> None:
    cosine = models.Distance.COSINE
    old, fresh = (models.VectorParams(size=size, distance=cosine) for size in (8, NEW_SIZE))
    foreign(url, old=old, fresh=fresh)
    with pytest.raises(StoreError, match="has a vector 'fresh' that no move made: name a new one with --in-place"):
        begun_in_place(url, spec_in_place(url, vector="old"))


def test_a_collection_without_names_gets_no_second_vector(url: str) -> None:
    with client_of(url) as client:
        client.create_collection(OLD, vectors_config=models.VectorParams(size=8, distance=models.Distance.COSINE))
    with pytest.raises(StoreError, match="the vectors of collection 'docs' have no name") as told:
        begun_in_place(url, spec_in_place(url))
    assert "give --to and --into, a new collection" in str(told.value)


def test_a_server_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    with qdrant_server(told="1.17.3") as address:
        foreign(f"qdrant+{address}")
        with pytest.raises(StoreError, match=r"Qdrant 1\.17\.3 at qdrant\+http.* cannot give .* came with 1\.18"):
            begun_in_place(f"qdrant+{address}", spec_in_place(f"qdrant+{address}"))
    with qdrant_server(told="1.18.0-dev") as address:
        foreign(f"qdrant+{address}")
        spec = begun_in_place(f"qdrant+{address}", spec_in_place(f"qdrant+{address}"))
        assert spec.fields.vector == "old"


@pytest.mark.parametrize("option", [{"late_chunking": True}, {"late_chunking": "blend"}], ids=["late", "blend"])
def test_points_of_others_are_read_alone(url: str, option: dict[str, Any]) -> None:
    foreign(url)
    with pytest.raises(InvalidInput, match="--in-place gives each point of another project's collection a vector"):
        begun_in_place(url, spec_in_place(url, **option))


def test_chunks_stay_in_place(url: str) -> None:
    fill(url, corpus(2))
    with pytest.raises(InvalidInput, match="so chunks stay: without --rechunk, or give --to and --into"):
        begun_in_place(url, spec_in_place(url, rechunk_tokens=30))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("qdrant:store", "--in-place needs a Qdrant server, and qdrant:store is a folder"),
        ("milvus+http://127.0.0.1:9", "on a Qdrant server, and not for Milvus: give --to and --into"),
        ("pinecone:docs", "on a Qdrant server, and not for Pinecone: give --to and --into"),
        ("old.jsonl", "on a Qdrant server, and not for an export: give --to and --into"),
    ],
)
def test_where_nothing_can_stand_beside(source: str, reason: str) -> None:
    spec = spec_of(Sides(source, source), OLD, FRESH, in_place=True)
    with pytest.raises(InvalidInput) as told:
        begun_in_place(source, spec)
    assert reason in str(told.value)
