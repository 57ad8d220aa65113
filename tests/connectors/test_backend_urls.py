"""Stores by URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors import (
    ContractMismatch,
    Document,
    StoreNotFound,
    VectorConnector,
    WholeDocument,
)
from jina_v3_connectors import (
    backends as stores,
)
from jina_v3_connectors.backends import filled_store, open_store
from jina_v3_connectors.qdrant.embedded import EmbeddedStore
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import backend_named


def test_the_url_names_the_folder(tmp_path: Path) -> None:
    with open_store(f"qdrant:{tmp_path}", FakeEncoder(), "docs", dimensions=16, chunker=WholeDocument()) as store:
        assert isinstance(store.store, EmbeddedStore)
        store.ingest([Document("a", "hello world")])
    contract = filled_store(f"qdrant:{tmp_path}", "docs")[1].contract
    assert (contract.dimensions, contract.model, contract.chunker) == (16, "fake", "whole document")


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with open_store("qdrant:~/store", FakeEncoder(), "docs", chunker=WholeDocument()) as store:
        store.ingest([Document("a", "hello")])
    assert (tmp_path / "store" / "docs").is_dir()


def test_relative_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("qdrant:./here", FakeEncoder(), "docs", chunker=WholeDocument()) as store:
        store.ingest([Document("a", "hello")])
    assert filled_store("qdrant:here", "docs")[1].contract.dimensions == 64


@pytest.mark.parametrize(
    "url",
    [
        "",
        "qdrant",
        "qdrant:",
        "qdrant://host",
        "qdrant+ftp://host",
        "qdrant+http:",
        "milvus:",
        "milvus+http://",
        "pinecone:",
        "pinecone://x",
        "pinecone+http://x",
        "chroma:./x",
        "./folder",
        "QDRANT:./x",
    ],
)
def test_unknown_forms_name_the_known_ones(url: str) -> None:
    for call in (lambda: open_store(url, FakeEncoder(), "docs"), lambda: filled_store(url, "docs")):
        with pytest.raises(InvalidInput, match=r"unknown store .*qdrant:\./folder"):
            call()


def test_a_collection_that_was_never_filled(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="jina-v3 ingest PATH --to qdrant:"):
        filled_store(f"qdrant:{tmp_path}", "docs")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a" * 300])
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        filled_store(f"qdrant:{tmp_path}", name)


@pytest.mark.parametrize("name", ["embedded", "http", "lite", "tcp", "documents"])
def test_every_backend_has_a_url(name: str, tmp_path: Path, milvus_url: Any) -> None:
    with backend_named(name, tmp_path, milvus_url) as backend:
        collection = "named"
        if name == "documents":
            backend.connect().close()
        with open_store(backend.url, FakeEncoder(), collection, dimensions=16, chunker=WholeDocument()) as store:
            store.ingest([Document("a", "hello world"), Document("b", "good night")])
            assert store.search("hello", limit=1)[0].chunk.document_id == "a"
        opened, stored = filled_store(backend.url, collection)
        assert stored == store.stored
        assert VectorConnector(FakeEncoder(), collection, opened).count() == 2
        opened.close()
        with pytest.raises((ContractMismatch, StoreNotFound)):
            open_store(backend.url, FakeEncoder(dimensions=32), collection)


def test_what_a_backend_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PINECONE_API_KEY", raising=False)
    with pytest.raises(InvalidInput, match=r"set \$PINECONE_API_KEY"):
        open_store("pinecone:docs", FakeEncoder(), "part")
    with pytest.raises(InvalidInput, match="lower-case letters"):
        open_store("pinecone:Docs_1", FakeEncoder(), "part")
    with pytest.raises(InvalidInput, match="hybrid search is not offered"):
        open_store("pinecone:docs", FakeEncoder(), "part", hybrid=True)
    with pytest.raises(InvalidInput, match=r"must end in \.db"):
        open_store(f"milvus:{tmp_path}", FakeEncoder(), "docs")
    with pytest.raises(InvalidInput, match="letters, digits and '_'"):
        open_store(f"milvus:{tmp_path}/x.db", FakeEncoder(), "my-docs")


@pytest.mark.parametrize("place", ["milvus:{}/absent.db", "qdrant:{}/absent"])
def test_looking_makes_nothing(tmp_path: Path, place: str) -> None:
    with pytest.raises(StoreNotFound, match="yet; fill it with"):
        filled_store(place.format(tmp_path), "docs")
    assert list(tmp_path.iterdir()) == []


def test_a_forgotten_plus_makes_no_folder_and_tells_no_password() -> None:
    with pytest.raises(InvalidInput, match="unknown store") as caught:
        stores.store_at("qdrant:http://u:s3cret@h:6333", "docs")
    assert "s3cret" not in str(caught.value)
