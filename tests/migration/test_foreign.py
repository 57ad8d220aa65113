"""Collections that other libraries wrote, read by the sources: text, document, order, metadata and vector of each."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors import StoreError, StoreNotFound
from jina_v3_connectors.migration.records import RECOGNISED, FieldNames, Record, Source
from jina_v3_connectors.migration.sources import open_source
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import Milvus, Postgres, backend_named

TEXTS = ["The black cat sleeps.", "It dreams of mice.", "The moon has no air."]
SIZE = 32
VECTORS = FakeEncoder(SIZE).encode(TEXTS, task="retrieval.passage")


@pytest.fixture
def http(tmp_path: Path, milvus_url: Any) -> Iterator[Any]:
    with backend_named("http", tmp_path, milvus_url) as backend:
        yield backend


@pytest.fixture
def lite(tmp_path: Path, milvus_url: Any) -> Iterator[Any]:
    with backend_named("lite", tmp_path, milvus_url) as backend:
        yield backend


@pytest.fixture
def postgres(tmp_path: Path, milvus_url: Any) -> Iterator[Any]:
    with backend_named("postgres", tmp_path, milvus_url) as backend:
        backend.execute("CREATE EXTENSION vector")  # type: ignore[attr-defined]
        yield backend


def read(source: Source) -> list[Record]:
    """All records in the order of TEXTS; each has the vector of its text."""
    try:
        records = sorted(source.records(vectors=True), key=lambda record: TEXTS.index(str(record.text)))
        assert source.count() == len(records)
        assert source.dimensions == SIZE
        assert source.contract is None
        assert [record.text for record in records] == TEXTS
        for record, vector in zip(records, VECTORS, strict=True):
            np.testing.assert_allclose(np.asarray(record.vector), vector, atol=1e-6)
        resumed = list(source.records(vectors=False, after=next(source.records(vectors=False)).key))
        assert len(resumed) == len(records) - 1
        assert [record.key for record in source.read([record.key for record in records])] == [
            record.key for record in records
        ]
        return records
    finally:
        source.close()


def test_llama_index_in_qdrant(http: Any) -> None:
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
    from llama_index.vector_stores.qdrant import QdrantVectorStore

    store = QdrantVectorStore(client=http.client, collection_name="docs")
    names = ["cats", "cats", None]
    nodes: list[Any] = []
    for text, vector, name in zip(TEXTS, VECTORS, names, strict=True):
        node = TextNode(text=text, metadata={"lang": "en", "source": "x"}, embedding=vector.tolist())
        if name:
            node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=name)
            node.start_char_idx = TEXTS.index(text) * 22
            node.end_char_idx = node.start_char_idx + len(text)
        nodes.append(node)
    store.add(nodes)
    source = open_source(http.url, "docs")
    assert source.description == "LlamaIndex"
    records = read(source)
    assert [record.key for record in records] == [node.node_id for node in nodes]
    assert [record.document_id for record in records] == names
    assert [(record.start, record.end) for record in records] == [(0, 21), (22, 40), (None, None)]
    assert [dict(record.metadata) for record in records] == [{"lang": "en", "source": "x"}] * 3


def test_haystack_in_qdrant(http: Any) -> None:
    from haystack import Document

    from haystack_integrations.document_stores.qdrant import QdrantDocumentStore

    url = http.url.removeprefix("qdrant+")
    store = QdrantDocumentStore(url=url, index="docs", embedding_dim=SIZE, similarity="cosine", recreate_index=True)
    documents = haystack_documents(Document)
    store.write_documents(documents)
    source = open_source(http.url, "docs")
    assert source.description == "Haystack"
    of_haystack(read(source), documents)


def haystack_documents(document: Any) -> list[Any]:
    metas = [{"source_id": "cats", "split_id": n, "split_idx_start": 22 * n, "lang": "en"} for n in range(2)]
    return [
        document(content=text, embedding=vector.tolist(), meta=meta)
        for text, vector, meta in zip(TEXTS, VECTORS, [*metas, {"lang": "en"}], strict=True)
    ]


def of_haystack(records: list[Record], documents: list[Any], alone: str | None = "") -> None:
    """`alone` is the document of a text without `source_id`, by default its own id."""
    assert [record.document_id for record in records] == ["cats", "cats", documents[2].id if alone == "" else alone]
    assert [record.order for record in records] == [0, 1, None]
    assert [(record.start, record.end) for record in records] == [(0, 21), (22, 40), (None, None)]
    assert [dict(record.metadata) for record in records] == [document.meta for document in documents]


@pytest.mark.filterwarnings("default")
def test_haystack_in_milvus(tmp_path: Path) -> None:
    from haystack import Document
    from milvus_haystack import MilvusDocumentStore

    path = tmp_path / "x.db"
    documents = haystack_documents(Document)
    store = MilvusDocumentStore(connection_args={"uri": str(path)})
    store.write_documents(documents)
    source = open_source(f"milvus:{path}", "HaystackCollection")
    assert source.description == "plain", "its fields are flat, with the names of no one"
    of_haystack(read(source), documents, alone=None)


def payloads(backend: Any, rows: list[dict[str, Any]], names: FieldNames = RECOGNISED, **vector: Any) -> Source:
    """Points with payloads as another library writes them; their vector has no name, or the one given."""
    from qdrant_client import models

    size = models.VectorParams(size=SIZE, distance=models.Distance.COSINE)
    backend.client.create_collection("docs", {vector["name"]: size} if vector else size)
    vectors = [row.tolist() for row in VECTORS]
    points = [
        models.PointStruct(id=number, vector={vector["name"]: values} if vector else values, payload=row)
        for number, (values, row) in enumerate(zip(vectors, rows, strict=True), 1)
    ]
    backend.client.upsert("docs", points)
    return open_source(backend.url, "docs", names)


def test_langchain_in_qdrant(http: Any) -> None:
    """As langchain-qdrant writes it."""
    metadata = [
        {"source": "a.pdf", "page": 3, "start_index": 0},
        {"source": "a.pdf", "page": 3, "start_index": 22},
        {"source": "b.txt"},
    ]
    rows = [{"page_content": text, "metadata": row} for text, row in zip(TEXTS, metadata, strict=True)]
    source = payloads(http, rows)
    assert source.description == "LangChain"
    records = read(source)
    assert [record.key for record in records] == ["1", "2", "3"]
    assert [record.document_id for record in records] == ["a.pdf, page 3", "a.pdf, page 3", None]
    assert [(record.start, record.end) for record in records] == [(0, 21), (22, 40), (None, None)]
    assert [dict(record.metadata) for record in records] == metadata


@pytest.mark.parametrize("vector", [{}, {"name": "dense"}, {"name": "mine"}], ids=str)
def test_plain_payloads_in_qdrant(http: Any, vector: dict[str, Any]) -> None:
    rows = [{"text": text, "doc_id": "cats", "chunk_index": n, "lang": "en"} for n, text in enumerate(TEXTS)]
    source = payloads(http, rows, **vector)
    assert source.description == "plain"
    records = read(source)
    assert [(record.document_id, record.order) for record in records] == [("cats", 0), ("cats", 1), ("cats", 2)]
    assert dict(records[0].metadata) == {"doc_id": "cats", "chunk_index": 0, "lang": "en"}


def test_fields_that_the_user_names(http: Any) -> None:
    rows = [
        {"text": f"title {n}", "meta": {"words": text, "file": f"f{n}"}, "nth": n, "x": 1}
        for n, text in enumerate(TEXTS)
    ]
    names = FieldNames(text="meta.words", document="meta.file", order="nth", metadata=("text", "meta.file"))
    records = read(payloads(http, rows, names))
    assert [(record.document_id, record.order) for record in records] == [("f0", 0), ("f1", 1), ("f2", 2)]
    assert dict(records[1].metadata) == {"text": "title 1", "meta.file": "f1"}


def test_a_text_that_is_not_known_is_asked_for_with_the_fields_there_are(http: Any) -> None:
    rows = [{"sentence": text, "metadata": {"lang": "en"}} for text in TEXTS]
    message = (
        r"which field holds the text; say it with --text-field. The fields are: sentence, metadata, metadata.lang$"
    )
    with pytest.raises(StoreError, match=message):
        payloads(http, rows)
    source = open_source(http.url, "docs", FieldNames(text="sentence"))
    assert [record.text for record in read(source)] == TEXTS
    message = "--order-field names 'nth', which none of the first 3 records has. The fields are: sentence, metadata"
    with pytest.raises(InvalidInput, match=message):
        open_source(http.url, "docs", FieldNames(text="sentence", order="nth"))


def test_several_vectors_must_be_told_apart(http: Any) -> None:
    from qdrant_client import models

    size = models.VectorParams(size=SIZE, distance=models.Distance.COSINE)
    several = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    tokens = models.VectorParams(size=SIZE, distance=models.Distance.COSINE, multivector_config=several)
    http.client.create_collection("docs", {"title": size, "body": size, "tokens": tokens})
    point = models.PointStruct(
        id=1, vector={"title": VECTORS[0].tolist(), "body": VECTORS[1].tolist()}, payload={"text": "x"}
    )
    http.client.upsert("docs", [point])
    with pytest.raises(StoreError, match="has several vectors: 'title', 'body'; say with --vector-field which one"):
        open_source(http.url, "docs")
    source = open_source(http.url, "docs", FieldNames(vector="body"))
    (record,) = source.records(vectors=True)
    np.testing.assert_allclose(np.asarray(record.vector), VECTORS[1], atol=1e-6)
    source.close()


def test_milvus_quick_setup(lite: Milvus) -> None:
    """A collection made with a size only: an integer key, one vector, and any fields besides."""
    lite.client.create_collection("docs", dimension=SIZE)
    rows = [
        {"id": n, "vector": vector.tolist(), "text": text, "subject": "cats", "n": n}
        for n, (text, vector) in enumerate(zip(TEXTS, VECTORS, strict=True))
    ]
    lite.client.insert("docs", rows)
    source = open_source(lite.url, "docs")
    assert source.description == "plain"
    records = read(source)
    assert [record.key for record in records] == ["0", "1", "2"]
    assert dict(records[2].metadata)["subject"] == "cats"


def test_milvus_keys_with_quotes(lite: Milvus) -> None:
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("name", DataType.VARCHAR, is_primary=True, max_length=100)
    schema.add_field("content", DataType.VARCHAR, max_length=100)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=SIZE)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    lite.client.create_collection("docs", schema=schema, index_params=index)
    names = [f'say "{n:04}\\' for n in range(600)]
    rows = [{"name": name, "content": name, "vector": VECTORS[0].tolist()} for name in names]
    lite.client.insert("docs", rows)
    source = open_source(lite.url, "docs")
    assert [record.key for record in source.records(vectors=False)] == names
    assert [record.text for record in source.records(vectors=False, after=names[299])] == names[300:]
    source.close()


def columns(backend: Postgres, statements: str, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Make a table `t` and fill it."""
    import psycopg

    backend.execute(statements)
    with psycopg.connect(backend.url, autocommit=True) as connection:
        marks = ", ".join(["%s"] * len(names))
        connection.cursor().executemany(f"INSERT INTO {TABLE} ({', '.join(names)}) VALUES ({marks})", rows)


TABLE = '"Shop"."my docs"'
PLACE = f'CREATE SCHEMA "Shop"; CREATE TABLE {TABLE} '


@pytest.mark.parametrize("kind", ["vector", f"vector({SIZE})", f"halfvec({SIZE})"])
def test_a_plain_table_in_postgresql(postgres: Postgres, kind: str) -> None:
    columns(
        postgres,
        f"{PLACE} (k bigserial PRIMARY KEY, body text, at timestamptz DEFAULT '2026-01-02', price numeric(6, 2), "
        f"tags text[], raw bytea, extra jsonb, v {kind})",
        ("body", "price", "tags", "raw", "extra", "v"),
        [(text, 1.5, ["a"], b"\0", '{"a": 1}', str(v.tolist())) for text, v in zip(TEXTS, VECTORS, strict=True)],
    )
    source = open_source(postgres.url, "Shop.my docs")
    if kind.startswith("half"):
        assert source.dimensions == SIZE
        (first, *_) = source.records(vectors=True)
        np.testing.assert_allclose(np.asarray(first.vector), VECTORS[0], atol=1e-3)
        source.close()
        return
    records = read(source)
    assert [record.key for record in records] == ["1", "2", "3"]
    metadata = dict(records[0].metadata)
    assert metadata.pop("at").startswith("2026-01-02")
    assert metadata == {"k": 1, "price": 1.5, "tags": ["a"], "raw": "\\x00", "extra": {"a": 1}}


def test_a_key_of_two_columns(postgres: Postgres) -> None:
    columns(
        postgres,
        f"{PLACE} (tenant text, n integer, text text, embedding vector({SIZE}), PRIMARY KEY (tenant, n))",
        ("tenant", "n", "text", "embedding"),
        [('a"b', number, text, str(v.tolist())) for number, (text, v) in enumerate(zip(TEXTS, VECTORS, strict=True))],
    )
    records = read(open_source(postgres.url, "Shop.my docs"))
    assert [json.loads(record.key) for record in records] == [['a"b', "0"], ['a"b', "1"], ['a"b', "2"]]


def test_a_table_without_a_key(postgres: Postgres) -> None:
    columns(postgres, f"{PLACE} (text text, v vector)", ("text", "v"), [("x", "[1]")])
    with pytest.raises(StoreError, match="has no primary key, so its rows cannot be read in an order that stays"):
        open_source(postgres.url, "Shop.my docs")


def test_a_table_is_read_in_a_transaction_that_cannot_write(postgres: Postgres) -> None:
    """Even where reading runs a function that would write."""
    columns(postgres, f"{PLACE} (k int PRIMARY KEY, text text, v vector)", ("k", "text", "v"), [(1, "x", "[1]")])
    postgres.execute(
        f"CREATE TABLE log (n int); CREATE FUNCTION noted(k int) RETURNS text LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO log VALUES (k); RETURN 'x'; END $$; "
        f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {TABLE} USING (noted(k) = 'x'); "
        f'CREATE ROLE reader_{id(postgres)} LOGIN; GRANT ALL ON SCHEMA "Shop" TO reader_{id(postgres)}; '
        f"GRANT ALL ON {TABLE}, log TO reader_{id(postgres)}"
    )
    url = postgres.url.replace("postgres@", f"reader_{id(postgres)}@")
    try:
        with pytest.raises(StoreError, match="cannot execute INSERT in a read-only transaction"):
            open_source(url, "Shop.my docs")
    finally:
        postgres.execute(f"DROP OWNED BY reader_{id(postgres)}; DROP ROLE reader_{id(postgres)}")


@pytest.mark.filterwarnings("ignore")
def test_langchain_in_postgresql(postgres: Postgres) -> None:
    from langchain_community.vectorstores import PGVector
    from langchain_core.embeddings import FakeEmbeddings
    from sqlalchemy import create_engine

    engine = create_engine(postgres.url.replace("postgresql://", "postgresql+psycopg://"))
    for name in ("docs", "others"):
        with engine.connect() as connection:
            with warnings.catch_warnings(record=True):
                store = PGVector("", FakeEmbeddings(size=SIZE), collection_name=name, connection=connection)
            metadata = [{"source": f"{name}.txt", "start_index": 22 * n} for n in range(3)]
            store.add_embeddings(TEXTS, VECTORS.tolist(), metadata, ids=["a", "b", "c"])
            connection.commit()
    engine.dispose()
    source = open_source(postgres.url, "docs")
    assert source.description == "LangChain"
    records = read(source)
    assert [record.document_id for record in records] == ["docs.txt"] * 3
    assert [record.start for record in records] == [0, 22, 44]
    assert dict(records[0].metadata) == {"source": "docs.txt", "start_index": 0}
    everything = open_source(postgres.url, "langchain_pg_embedding")
    assert everything.count() == 6
    everything.close()


def test_llama_index_in_postgresql(postgres: Postgres) -> None:
    """As its PGVectorStore writes it: the text apart, the node in a JSON column."""
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores.utils import node_to_metadata_dict

    rows = []
    for text, vector in zip(TEXTS, VECTORS, strict=True):
        node = TextNode(text=text, metadata={"lang": "en"})
        fields = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
        rows.append((text, json.dumps(fields), node.node_id, str(vector.tolist())))
    kinds = (
        f"(id bigserial PRIMARY KEY, text varchar NOT NULL, metadata_ json, node_id varchar, embedding vector({SIZE}))"
    )
    columns(postgres, PLACE + kinds, ("text", "metadata_", "node_id", "embedding"), rows)
    source = open_source(postgres.url, "Shop.my docs")
    assert source.description == "LlamaIndex"
    records = read(source)
    assert [record.document_id for record in records] == [None] * 3
    assert dict(records[0].metadata) == {"lang": "en", "node_id": rows[0][2]}


@pytest.mark.parametrize("backend", ["documents", "vectors"], indirect=True)
def test_pinecone_of_others(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As LangChain writes it: the text is one of the metadata."""
    backend.foreign()
    for key, value in {"PINECONE_API_KEY": "secret-key", "PINECONE_CONTROLLER_HOST": backend.service.url}.items():
        monkeypatch.setenv(key, value)
    index = backend.client.index(host=str(backend.client.indexes.describe("docs").host))
    rows = [(f"c{n}", text, vector.tolist()) for n, (text, vector) in enumerate(zip(TEXTS, VECTORS, strict=True))]
    if backend.kind == "vectors":
        index.upsert(
            vectors=[{"id": key, "values": v, "metadata": {"text": text, "lang": "en"}} for key, text, v in rows]
        )
    else:
        documents = [{"_id": key, "embedding": v, "text": text, "lang": "en"} for key, text, v in rows]
        index.documents.upsert(namespace="__default__", documents=documents)
    index.close()
    source = open_source("pinecone:docs", "__default__")
    assert source.description == "plain"
    records = read(source)
    assert [record.key for record in records] == ["c0", "c1", "c2"]
    assert dict(records[0].metadata) == {"lang": "en"}


@pytest.mark.filterwarnings("default")
def test_an_export_of_chroma(tmp_path: Path) -> None:
    import chromadb
    from chromadb.config import Settings

    # A process has one such client, whose settings must always be the same: `tests/server/test_clients.py` has it too.
    collection = chromadb.EphemeralClient(Settings(anonymized_telemetry=False)).create_collection(f"docs{id(tmp_path)}")
    metadata: list[Any] = [{"doc_id": "cats", "chunk_index": n} for n in range(3)]
    collection.add(ids=["a", "b", "c"], documents=TEXTS, embeddings=VECTORS, metadatas=metadata)
    stored = collection.get(include=["documents", "embeddings", "metadatas"])
    columns_ = (stored["ids"], stored["documents"], stored["embeddings"], stored["metadatas"])
    lines = [
        {"id": key, "document": text, "embedding": [float(number) for number in vector], "metadata": values}
        for key, text, vector, values in zip(*columns_, strict=True)  # type: ignore[arg-type]
    ]
    source = open_source(export(tmp_path, lines))
    assert source.description == "Chroma"
    records = read(source)
    assert [(record.document_id, record.order) for record in records] == [("cats", 0), ("cats", 1), ("cats", 2)]
    assert [dict(record.metadata) for record in records] == metadata


@pytest.mark.filterwarnings("default")
def test_an_export_of_llm(tmp_path: Path) -> None:
    """`llm` keeps vectors as bytes in SQLite, and its own tool writes them as base64."""
    import llm
    import sqlite_utils

    class Made(llm.EmbeddingModel):  # type: ignore[misc,name-defined]
        model_id = "made"

        def embed_batch(self, items: Any) -> Iterator[list[float]]:
            return (VECTORS[TEXTS.index(text)].tolist() for text in items)

    file = tmp_path / "embeddings.db"
    collection = llm.Collection("docs", sqlite_utils.Database(file), model=Made())
    for key, text in zip("abc", TEXTS, strict=True):
        collection.embed(key, text, store=True, metadata={"lang": "en"})
    command = [sys.executable, "-m", "sqlite_utils", "rows", str(file), "embeddings", "--nl"]
    (tmp_path / "export.jsonl").write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    source = open_source(str(tmp_path / "export.jsonl"))
    assert source.description == "llm"
    records = read(source)
    assert [record.document_id for record in records] == ["a", "b", "c"]
    assert dict(records[0].metadata) == {"lang": "en"}


def test_what_is_wrong_with_an_export(tmp_path: Path) -> None:
    for url in (f"jsonl:{tmp_path}/absent.jsonl", f"jsonl:{tmp_path}"):
        with pytest.raises(StoreNotFound, match="is no file"):
            open_source(url)
    url = export(tmp_path, [{"text": "x"}, ["y"]])
    with pytest.raises(StoreError, match=r"export.jsonl, line 2 must be a JSON object, got list"):
        open_source(url)
    source = open_source(export(tmp_path, [{"text": "x"}, {"id": "b", "text": "y"}]))
    assert [(record.key, record.text, record.vector) for record in source.records(vectors=True)] == [
        ("1", "x", None),
        ("b", "y", None),
    ]
    assert source.dimensions is None
    with pytest.raises(StoreError, match="has no line with the id 'c'"):
        list(source.records(vectors=False, after="c"))


def export(folder: Path, lines: list[Any]) -> str:
    file = folder / "export.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"jsonl:{file}"
