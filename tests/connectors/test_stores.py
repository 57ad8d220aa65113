"""Stores by URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from jina_v3_connectors import Document, StoreNotFound, WholeDocument
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.stores import open_store, stored_contract
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder


def test_the_url_names_the_folder(tmp_path: Path) -> None:
    with open_store(f"qdrant:{tmp_path}", FakeEncoder(), "docs", dimensions=16, chunker=WholeDocument()) as store:
        assert isinstance(store, QdrantConnector)
        store.ingest([Document("a", "hello world")])
    contract = stored_contract(f"qdrant:{tmp_path}", "docs")
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
    assert stored_contract("qdrant:here", "docs").dimensions == 64


@pytest.mark.parametrize("url", ["", "qdrant", "qdrant:", "qdrant://host", "chroma:./x", "./folder", "QDRANT:./x"])
def test_unknown_forms_name_the_known_ones(url: str) -> None:
    for call in (lambda: open_store(url, FakeEncoder(), "docs"), lambda: stored_contract(url, "docs")):
        with pytest.raises(InvalidInput, match=r"unknown store .*qdrant:\./folder"):
            call()


def test_a_collection_that_was_never_filled(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="jina-v3 ingest PATH --to qdrant:"):
        stored_contract(f"qdrant:{tmp_path}", "docs")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a" * 300])
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        stored_contract(f"qdrant:{tmp_path}", name)
