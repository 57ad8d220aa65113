"""Stores by URL."""

from __future__ import annotations

import inspect
import re
import tomllib
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
from jina_v3_connectors.backends import (
    BACKENDS,
    BY_NAME,
    STORE_FORMS,
    Backend,
    Location,
    filled_store,
    find_location,
    open_store,
)
from jina_v3_connectors.milvus import MilvusConnector
from jina_v3_connectors.pinecone import PineconeConnector
from jina_v3_connectors.postgres import PostgresConnector
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.qdrant.embedded import EmbeddedStore
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import backend_named


def test_the_table_and_the_extras_of_pyproject_agree() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    (tested,) = [line for line in extras["test"] if line.startswith("jina-v3-connectors[")]
    for backend in BACKENDS:
        assert extras[backend.extra], f"pip install 'jina-v3-connectors[{backend.extra}]'"
        assert backend.extra in re.split(r"[\[,\]]", tested), "the suite runs with every client"


def test_every_row_has_a_double_in_the_suite_of_all_backends(tmp_path: Path, milvus_url: Any) -> None:
    named = set()
    for name in ("embedded", "http", "lite", "documents", "postgres"):
        with backend_named(name, tmp_path / name, milvus_url) as backend:
            row, location = find_location(backend.url)
            named.add(backend.name)
            assert row.name == backend.name
            assert (location.path is not None) is (name in ("embedded", "lite"))
    assert named == set(BY_NAME)


def test_the_examples_of_the_table_are_forms_that_work() -> None:
    for backend in BACKENDS:
        for example in backend.examples:
            assert example in STORE_FORMS
            row, location = find_location(example)
            assert row is backend
            assert bool(location.path) is (example == backend.folder)
            assert bool(location.address) is (example in (backend.server, backend.index))
            if example == backend.server and "+http:" in example:
                assert str(find_location(example.replace("+http:", "+https:"))[1].address).startswith("https://")


def test_a_backend_may_have_a_scheme_of_its_own() -> None:
    backend = Backend("db", "DB", "db", BACKENDS[0].open, server="db://user@host/base")
    assert backend.locate("", "//user@host/base") == Location(address="db://user@host/base")
    for scheme, rest in (("", "x"), ("", "//"), ("http", "//host"), ("", "")):
        assert backend.locate(scheme, rest) is None


@pytest.mark.parametrize("connector", [QdrantConnector, MilvusConnector])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dimensions": 0}, "dimensions must be a whole number"),
        ({"dimensions": "8"}, "dimensions must be a whole number"),
        ({"late_chunking": 1}, 'late_chunking must be True, False, "blend" or'),
        ({"chunker": "sentences"}, "chunker must have a method spans"),
        ({"late_chunking": True, "window": 1}, "window must be a whole number of tokens"),
        ({"late_chunking": True, "window": 100, "overlap": 100}, "below the window of 100"),
        ({"late_chunking": False, "overlap": 3}, "belong to late chunking"),
        ({"hybrid": True, "layout": "any"}, "pass hybrid inside the layout"),
        ({"url": "http://host:1"}, "pass one of path="),
    ],
    ids=str,
)
def test_options_are_refused_before_a_store_is_opened(
    tmp_path: Path, connector: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        connector(FakeEncoder(), "docs", path=tmp_path / "store.db", **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("connector", [QdrantConnector, MilvusConnector, PineconeConnector])
def test_an_option_that_does_not_exist_opens_nothing(tmp_path: Path, connector: Any) -> None:
    where = {} if connector is PineconeConnector else {"path": tmp_path / "store.db"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'dimension'"):
        connector(FakeEncoder(), "docs", dimension=16, **where)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("connector", "name", "message"),
    [
        (MilvusConnector, "with-dash", "Milvus takes letters, digits and '_'"),
        (PineconeConnector, "Docs", "Pinecone takes lower-case letters"),
        (QdrantConnector, "a/b", "must be 1 to 128 letters"),
    ],
)
def test_a_name_is_refused_in_the_backends_own_words(connector: Any, name: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        connector(FakeEncoder(), name)


@pytest.mark.parametrize("connector", [QdrantConnector, MilvusConnector, PineconeConnector, PostgresConnector])
def test_every_connector_takes_what_the_base_takes(connector: Any) -> None:
    wanted = inspect.signature(VectorConnector).parameters
    offered, by_url = inspect.signature(connector).parameters, inspect.signature(open_store).parameters
    for name in ("dimensions", "late_chunking", "chunker", "window", "overlap", "adopt"):
        assert (offered[name].kind, offered[name].default) == (wanted[name].kind, wanted[name].default)
        assert offered[name].annotation == by_url[name].annotation == wanted[name].annotation


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
        "postgresql:",
        "postgresql:host/db",
        "postgresql+http://host",
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
    with pytest.raises(InvalidInput, match="must be 1 to 128 letters"):
        filled_store(f"qdrant:{tmp_path}", name)


@pytest.mark.parametrize("name", ["embedded", "http", "lite", "tcp", "documents", "postgres"])
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
        with pytest.raises((ContractMismatch, StoreNotFound), match=r"was filled in another way|does not exist yet"):
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


@pytest.mark.parametrize("form", ["milvus:{}/absent.db", "qdrant:{}/absent"])
def test_looking_makes_nothing(tmp_path: Path, form: str) -> None:
    with pytest.raises(StoreNotFound, match="yet; fill it with"):
        filled_store(form.format(tmp_path), "docs")
    assert list(tmp_path.iterdir()) == []


def test_a_forgotten_plus_makes_no_folder_and_tells_no_password() -> None:
    with pytest.raises(InvalidInput, match="unknown store") as caught:
        stores.store_at("qdrant:http://u:s3cret@h:6333", "docs")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:s3cret@host:5432/database", "postgresql://***@host:5432/database"),
        (
            "postgresql://[::1]:5432/my-db?host=/tmp/x&user=me&sslmode=require",
            "postgresql://[::1]:5432/my-db?host=/tmp/x&***&sslmode=require",
        ),
        ("postgres://user:s3cret@host/database", "postgres://***@host/database"),
        ("postgresql://h/db;password=s3cret", "postgresql://h/db;***"),
        ("postgresql://h/db?host=x;password=s3cret", "postgresql://h/db?host=x;***"),
        ("postgresql://h/db?host=x password=s3cret", "postgresql://h/db?***"),
        ("postgresql://h/db password=s3cret", "postgresql://***"),
        ("postgresql://h/db#s3cret", "postgresql://***"),
        ("postgresql://h/db?password=s3cret@s3cret", "postgresql://***"),
        ("postgresql:host=h password=s3cret", "postgresql:***"),
        ("postgresql:s3cret", "postgresql:***"),
        ("host=h password=s3cret", "***"),
        ("mysql://h/s3cret", "mysql://***"),
        ("qdrant:http://h/s3cret", "qdrant:***"),
        ("milvus+http:h:s3cret", "milvus:***"),
        ("qdrant+http://h:6333/a/b?api_key=s3cret", "qdrant+http://h:6333/a/b?***"),
        ("qdrant+http://u:s3cret@h:x", "qdrant+http://***"),
        ("pinecone:my-index", "pinecone:my-index"),
        ("qdrant:./me@home/store; x=1", "qdrant:./me@home/store; x=1"),
        ("milvus:/data/a b.db", "milvus:/data/a b.db"),
        ("./folder", "./folder"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert stores.shown_url(url) == shown
