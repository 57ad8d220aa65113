"""Collections and contracts that something else wrote: they are read, or refused in our own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from jina_v3_connectors import ContractMissing, Document, EmbeddingContract, StoreError
from jina_v3_connectors.milvus.lite import close_lite, open_lite
from jina_v3_connectors.qdrant.schema import CONTRACT_FILE
from jina_v3_encoder.testing import FakeEncoder

from ..servers.rest import Failures
from ..support.backends import ROW, Backend, Embedded, Milvus

WRONG_TYPES: dict[str, Any] = {
    "model": 7,
    "revision": 3.5,
    "fingerprint": None,
    "dimensions": "32",
    "chunker": ["sentences"],
    "late_chunking": 3,
    "window": "x",
    "overlap": 0.5,
    "passage_task": 1,
    "query_task": {},
    "prompts": "yes",
    "normalized": 1,
    "output_type": None,
    "schema_version": True,
    "collection_id": None,
}


def test_a_contract_with_a_field_of_another_type(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reported by name and value, whichever field it is, and nothing is changed on the way."""
    assert set(WRONG_TYPES) == set(EmbeddingContract.__dataclass_fields__)
    original = EmbeddingContract.to_dict
    for number, (field, value) in enumerate(WRONG_TYPES.items()):
        message = rf"has a contract this version cannot read: its {field} is .*; it was damaged or written by another"
        name = f"docs{number}"
        with monkeypatch.context() as patch:
            patch.setattr(EmbeddingContract, "to_dict", lambda contract, f=field, v=value: original(contract) | {f: v})
            with backend.connect(name) as store, pytest.raises(StoreError, match=message):
                store.create()
        with pytest.raises(StoreError, match=message):
            backend.connect(name)


FOREIGN: dict[str, tuple[str, Any, str]] = {
    "number as id": ("document_id", 12, "field 'document_id' holds 12(.0)?, this project keeps a str there"),
    "word as number": ("chunk", "x", "field 'chunk' holds 'x', this project keeps a whole number there"),
    "part of a number": ("chunk", 1.5, "field 'chunk' holds 1.5, this project keeps a whole number"),
    "no text": ("text", None, "field 'text' holds None, this project keeps a str there"),
    "place": ("start", "0", "field 'start' holds '0'"),
    "metadata": ("metadata", "red", "field 'metadata' holds 'red', this project keeps a JSON object there"),
}


FREE = ("embedded", "memory", "http", "documents", "vectors")
"""Backends whose records have no fixed fields; for the others see test_milvus_fields_of_another_type."""
KEPT = [(name, case) for name in FREE for case in FOREIGN if name in FREE[:3] or FOREIGN[case][1] is not None]
"""Pinecone keeps no null."""
LISTED = [(name, case) for name, case in KEPT if name != "documents" or FOREIGN[case][0] in ("document_id", "chunk")]
"""Before adopting, Pinecone's document indexes are asked for the fields that name a chunk."""


@pytest.mark.parametrize(("backend", "case"), LISTED, indirect=["backend"])
def test_records_of_somebody_else_are_told_before_adopting(backend: Backend, case: str) -> None:
    field, value, message = FOREIGN[case]
    backend.foreign()
    backend.put({"document_id": "d", "chunk": 0, field: value})
    with pytest.raises(StoreError, match=rf"record 7: its {message}.*ingest the documents into a new collection"):
        backend.connect(adopt=True)
    with pytest.raises(ContractMissing, match="does not say which model made its vectors"):
        backend.connect()


@pytest.mark.parametrize(("backend", "case"), KEPT, indirect=["backend"])
def test_records_of_somebody_else_are_told_in_a_search(backend: Backend, case: str) -> None:
    field, value, message = FOREIGN[case]
    with backend.connect() as store:
        store.ingest([Document("d", "A text.")])
    backend.put({"document_id": "e", "chunk": 0, field: value})
    with backend.connect() as store, pytest.raises(StoreError, match=rf"record 7: its {message}"):
        store.search("x", limit=5)


@pytest.mark.parametrize("backend", FREE, indirect=True)
def test_what_a_foreign_record_lacks_is_left_empty(backend: Backend) -> None:
    backend.foreign()
    (vector,) = FakeEncoder().encode_spans("A text.", [(0, 7)], task="retrieval.passage", dimensions=32)
    backend.put({"text": "A text."}, vector.tolist())
    with backend.connect(adopt=True) as store:
        (hit,) = store.search("x")
        assert (hit.chunk.document_id, hit.chunk.number, hit.chunk.text) == ("7", 0, "A text.")
        assert (hit.chunk.start, hit.chunk.end, dict(hit.chunk.metadata)) == (0, 7, {})


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "number": ({"chunk": (DataType.VARCHAR, {"max_length": 9})}, "its field 'chunk' is VARCHAR, not INT64"),
    "id": ({"document_id": (DataType.INT64, {})}, "its field 'document_id' is INT64, not VARCHAR"),
    "null": ({"text": (DataType.VARCHAR, {"max_length": 9, "nullable": True})}, "its field 'text' may be null"),
    "vector": ({"dense": (DataType.SPARSE_FLOAT_VECTOR, {})}, "its field 'dense' is SPARSE_FLOAT_VECTOR, not"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_milvus_fields_of_another_type(tmp_path: Path, case: str) -> None:
    changes, message = CHANGES[case]
    words: tuple[DataType, dict[str, Any]] = (DataType.VARCHAR, {"max_length": 1000})
    fields: dict[str, tuple[DataType, dict[str, Any]]] = {
        **dict.fromkeys(("document_id", "text"), words),
        **{name: (DataType.INT64, {}) for name in ("chunk", "start", "end")},
        "metadata": (DataType.JSON, {}),
        "terms": (DataType.ARRAY, {"element_type": DataType.VARCHAR, "max_capacity": 9, "max_length": 9}),
        "dense": (DataType.FLOAT_VECTOR, {"dim": len(ROW)}),
        **changes,
    }
    path = tmp_path / "lite.db"
    client = open_lite(path)
    try:
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=36)
        for name, (kind, options) in fields.items():
            schema.add_field(name, kind, **options)
        client.create_collection("docs", schema=schema)
        backend = Milvus(tmp_path, Failures(), client, f"milvus:{path}")
        with pytest.raises(StoreError, match=rf"'docs' cannot be adopted: {message}.*ingest into a new collection"):
            backend.connect(adopt=True)
        with pytest.raises(ContractMissing, match="does not say which model made its vectors"):
            backend.connect()
    finally:
        close_lite(path, client)


LAYOUTS: list[Any] = [
    {"slices": 5},
    {"slices": ["a"]},
    {"indexes": 3},
    {"hybrid": "yes"},
    {"on_disk": 1},
    {"datatype": None},
    {"unknown": 1},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_layout_with_a_field_of_another_type(tmp_path: Path, layout: Any) -> None:
    backend = Embedded(tmp_path, Failures())
    with backend.connect() as store:
        store.create()
    file = backend.path / "docs" / CONTRACT_FILE
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "layout": values["layout"] | layout}))
    with pytest.raises(StoreError, match="collection 'docs' has a layout this version cannot read"):
        backend.connect()
