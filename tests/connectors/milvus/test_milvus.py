"""What is particular to Milvus: places, names, limits, restarts, a quiet log."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from pymilvus import DataType, MilvusClient, MilvusException

from jina_v3_connectors import Chunk, Document, DocumentError, EmbeddingContract, StoreBusy, StoreError, WholeDocument
from jina_v3_connectors.documents import Tail
from jina_v3_connectors.filters import chunks_of, parse_filter
from jina_v3_connectors.milvus import MilvusConnector, MilvusLayout
from jina_v3_connectors.milvus.answers import in_parts
from jina_v3_connectors.milvus.convert import to_row
from jina_v3_connectors.milvus.errors import AnswerTooLarge, of_exception, of_rpc
from jina_v3_connectors.milvus.filters import expression, joined
from jina_v3_connectors.milvus.lite import close_lite, open_lite
from jina_v3_connectors.milvus.schema import (
    CONTRACT_PROPERTY,
    FIELDS,
    collection_schema,
    forgets,
    index_fields,
    index_params,
    properties,
    stored_contract,
    stored_layout,
)
from jina_v3_connectors.stored_chunk import to_hit
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

CONTRACT = EmbeddingContract("nano", None, "0123456789abcdef", 256, "sentences")


def connect(folder: Path, name: str = "docs", **settings: Any) -> MilvusConnector:
    return MilvusConnector(FakeEncoder(), name, path=folder / "x.db", chunker=WholeDocument(), **settings)


def test_a_folder_is_filled_closed_and_opened_again(tmp_path: Path) -> None:
    with connect(tmp_path) as store:
        store.ingest([Document("a", "hello world"), Document("b", "good night")])
    assert (tmp_path / "x.db.journal.sqlite").exists()
    with connect(tmp_path) as again:
        assert again.search("hello", limit=1)[0].chunk.document_id == "a"
        assert again.ingest([Document("a", "hello world")]).unchanged == 1


def test_only_one_process_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from tests.connectors.milvus.test_milvus import connect\n"
        "connect(Path(sys.argv[1]))"
    )
    root = Path(__file__).parents[3]
    with connect(tmp_path) as store:
        store.ingest([Document("a", "hello")])
        child = subprocess.run(
            [sys.executable, "-c", code, tmp_path, root], capture_output=True, text=True, check=False
        )
    assert child.returncode == 1
    assert "if it is open in another process, close that first" in child.stderr
    assert run(code, tmp_path, root).returncode == 0, "closing lets others in"


def run(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_places(tmp_path: Path) -> None:
    for settings in ({}, {"path": "x.db", "url": "http://h"}):
        with pytest.raises(InvalidInput, match=r"pass one of path='\./file\.db'"):
            MilvusConnector(FakeEncoder(), "docs", **settings)  # type: ignore[arg-type]
    (tmp_path / "x.db").write_text("of version 2")
    with pytest.raises(StoreError, match=r"is a file: Milvus Lite 3 keeps a folder"):
        connect(tmp_path)


@pytest.mark.parametrize("name", ["", "1st", "with-dash", "with.dot", "x" * 256, None])
def test_names(tmp_path: Path, name: Any) -> None:
    with pytest.raises(InvalidInput, match="letters, digits and '_'"):
        connect(tmp_path, name)


def test_a_refused_name_leaves_no_engine_running(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="start with a letter or digit"):
        connect(tmp_path, "_docs")
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from tests.connectors.milvus.test_milvus import connect\n"
        "connect(Path(sys.argv[1]))"
    )
    another = run(code, tmp_path, Path(__file__).parents[3])
    assert another.returncode == 0, another.stderr


def test_hybrid_and_layout(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="inside the layout"):
        connect(tmp_path, hybrid=True, layout=MilvusLayout())
    for bad in ({"datatype": "int8"}, {"index": "TREE"}):
        with pytest.raises(InvalidInput, match="use one of"):
            MilvusLayout(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("index", ["HNSW", "IVF_FLAT", "FLAT", "AUTOINDEX"])
def test_every_index_finds(tmp_path: Path, index: Any) -> None:
    with connect(tmp_path, layout=MilvusLayout(index=index)) as store:
        store.ingest(Document(str(n), f"text number {n}") for n in range(50))
        assert store.search("text number 7", limit=1)[0].chunk.document_id == "7"


def test_texts_and_metadata_over_the_fields_limits_are_named(tmp_path: Path) -> None:
    bad = [
        Document("long", "ü" * 40_000),
        Document("rich", "text", {"a": "x" * 70_000}),
        Document("many", "text", {"a": list(range(3000))}),
    ]
    with connect(tmp_path) as store:
        for document, message in zip(
            bad, ("80,000 bytes of text", "bytes of metadata", "different values"), strict=True
        ):
            with pytest.raises(DocumentError, match=rf"document '{document.id}': .*{message}.*the store accepts"):
                store.ingest([document])
        report = store.ingest([*bad, Document("good", "text")], skip_bad=True)
        assert (report.documents, report.skipped) == (1, 3)


def test_errors_are_raised_and_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with connect(tmp_path) as store, caplog.at_level(logging.INFO):
        store.ingest([Document("a", "hello")])
        list(store.ids())
        store.store.client.drop_collection("docs")  # type: ignore[attr-defined]
        with pytest.raises(StoreError, match="collection 'docs' does not exist"):
            store.store.count()
    assert [record.name for record in caplog.records if record.name.startswith("pymilvus")] == []
    client = open_lite(tmp_path / "y.db")
    with pytest.raises(MilvusException, match="does not exist"):
        client.describe_collection("nope")
    close_lite(tmp_path / "y.db", client)
    assert any(record.name == "pymilvus.decorators" for record in caplog.records), "others' calls are logged as ever"


def test_schema() -> None:
    schema = collection_schema(CONTRACT, MilvusLayout(datatype="float16", hybrid=True))
    fields = {field.name: field for field in schema.fields}
    assert set(FIELDS) < set(fields)
    assert fields["dense"].dtype == DataType.FLOAT16_VECTOR
    assert fields["dense"].params["dim"] == 256
    assert index_fields(MilvusLayout(hybrid=True)) == ["dense", "words"]
    assert [params.index_type for params in index_params(MilvusLayout(index="FLAT"), "dense")] == ["FLAT"]
    assert [params.index_type for params in index_params(MilvusLayout(), "words")] == ["SPARSE_INVERTED_INDEX"]
    assert schema.description == CONTRACT.to_json(), "servers show it"


def test_the_contract_is_a_property() -> None:
    description = {"properties": {CONTRACT_PROPERTY: CONTRACT.to_json()}}
    assert stored_contract(description, "docs") == CONTRACT
    assert stored_contract({"properties": {}}, "docs") is None
    assert stored_contract({"properties": None}, "docs") is None
    for content in ("{", "[]", "{}"):
        with pytest.raises(StoreError, match=r"damaged|cannot read"):
            stored_contract({"properties": {CONTRACT_PROPERTY: content}}, "docs")


def test_a_layout_is_the_collections_whatever_the_caller_asks_for(tmp_path: Path) -> None:
    with connect(tmp_path, layout=MilvusLayout(index="FLAT")) as store:
        store.create()
    with connect(tmp_path, layout=MilvusLayout(index="IVF_FLAT", datatype="float16")) as again:
        assert again.stored is not None
        assert again.stored.layout == MilvusLayout(index="FLAT")


@pytest.mark.parametrize(
    "layout",
    [
        MilvusLayout(),
        MilvusLayout(datatype="bfloat16", index="IVF_FLAT"),
        MilvusLayout(datatype="float16", index="FLAT", hybrid=True, partition_key="tenant"),
    ],
    ids=str,
)
def test_a_layout_is_read_back(layout: MilvusLayout) -> None:
    fields = [{"name": field.name, "type": field.dtype} for field in collection_schema(CONTRACT, layout).fields]
    description = {"fields": fields, "properties": properties(CONTRACT, layout)}
    assert stored_layout(description, "docs") == layout
    with pytest.raises(StoreError, match="collection 'docs' has a layout this version cannot read: unknown index 'X'"):
        stored_layout(description | {"properties": {"jina_v3_index": "X"}}, "docs")


def test_rows() -> None:
    chunk = Chunk("d", 1, 5, 9, "text", {"lang": "de", "n": 2})
    row = to_row(chunk, np.zeros(4, dtype=np.float32))
    assert set(row) == set(FIELDS)
    assert row["terms"] == ["lang:de", "n#", "n=2"]
    assert to_hit("id", 0.5, row).chunk == chunk
    assert to_hit("id", 0.5, row | {"metadata": '{"lang": "de", "n": 2}'}).chunk == chunk
    assert to_hit("id", 0.5, row).chunk == replace(chunk)


def expression_of(filter: dict[str, Any], partition_key: str | None = None) -> str:  # noqa: A002
    condition = parse_filter(filter)
    assert not isinstance(condition, bool)
    return expression(condition, partition_key)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ({"lang": "de"}, 'array_contains_any(terms, ["lang:de"])'),
        (
            {"n": {"gte": 2.0, "lt": 3.5}},
            '(array_contains(terms, "n#") and metadata["n"] >= 2 and metadata["n"] < 3.5)',
        ),
        ({"a.b": {"gt": 1}}, '(array_contains(terms, "a.b#") and metadata["a"]["b"] > 1)'),
        ({"document_id": 'x"y'}, 'document_id in ["x\\"y"]'),
        ({"chunk": {"lte": 2}}, "(chunk <= 2)"),
        ({"chunk": 2}, "(chunk >= 2 and chunk <= 2)"),
        ({"not": {"lang": "ü"}}, 'not (array_contains_any(terms, ["lang:ü"]))'),
        (
            {"or": [{"chunk": 1}, {"and": [{"chunk": 2}]}]},
            "((chunk >= 1 and chunk <= 1) or (chunk >= 2 and chunk <= 2))",
        ),
    ],
    ids=str,
)
def test_expressions(condition: dict[str, Any], text: str) -> None:
    assert expression_of(condition) == text


@pytest.mark.parametrize(("version", "old"), [("v2.3.5", True), ("v2.3.15-dev", True), ("v2.4.0", False)])
def test_servers_that_forget_deletions(version: str, old: bool) -> None:
    assert forgets(version) == old


def test_values_cannot_break_out_of_an_expression(tmp_path: Path) -> None:
    evil = '"]) or id != "" or array_contains_any(terms, ["'
    with connect(tmp_path) as store:
        store.ingest([Document("a", "hello", {"x": evil}), Document("b", "hello", {"x": "y"}), Document(evil, "hello")])
        for condition in ({"x": evil}, {"document_id": evil}):
            assert len(store.search("hello", filter=condition)) == 1
        store.delete([evil])
        assert store.count() == 2


def test_deleted_rows_are_gone_also_from_a_server_that_sees_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen on Milvus 2.3.5: a delete by expression left rows that were stored seconds before."""
    with connect(tmp_path) as store:
        store.ingest([Document("a", "hello"), Document("b", "hello")])
        client = store.store.client  # type: ignore[attr-defined]
        monkeypatch.setattr(client, "delete", lambda collection, **options: None)
        with pytest.raises(StoreBusy, match="'docs': Milvus still shows 1 rows that it deleted"):
            store.store.delete(chunks_of([Tail("a", 0)]))
        monkeypatch.undo()
        store.store.delete(chunks_of([Tail("a", 0)]))
        assert list(store.ids()) == [("b", 0)]


def test_a_partition_key_keeps_tenants_apart(tmp_path: Path) -> None:
    corpus = [Document(f"{tenant}{n}", f"text {n}", {"tenant": tenant}) for tenant in "abc" for n in range(10)]
    with connect(tmp_path, layout=MilvusLayout(partition_key="tenant")) as store:
        store.ingest(corpus)
    with connect(tmp_path) as store:
        hits = store.search("text", limit=100, filter={"tenant": "b"})
        assert {hit.chunk.document_id[0] for hit in hits} == {"b"}
        assert len(store.search("text", limit=100, filter={"not": {"tenant": {"in": ["a", "b"]}}})) == 10
        assert store.search("text", filter={"tenant": 3}) == []
        for metadata in ({}, {"tenant": 3}, {"tenant": "x" * 2000}):
            with pytest.raises(DocumentError, match="must hold a str of up to 1000 bytes at 'tenant'"):
                store.ingest([Document("bad", "text", metadata)])
        report = store.ingest(
            [*corpus, Document("bad", "text"), Document("a new", "text", {"tenant": "a"})], skip_bad=True
        )
        assert (report.skipped, report.documents, report.unchanged) == (1, 1, 30)
    assert expression_of({"tenant": {"in": ["x", 3]}}, "tenant") == 'partition in ["x"]'
    assert expression_of({"tenant": 3}, "tenant") == 'array_contains_any(terms, ["tenant=3"])', "which no chunk has"
    with pytest.raises(InvalidInput, match="must name a metadata field"):
        MilvusLayout(partition_key="no such; field")


def test_tails() -> None:
    assert expression(chunks_of([Tail("a", 0), Tail('b"', 2), Tail("c", 0)])) == (
        '(document_id in ["a", "c"] or (document_id in ["b\\""] and (chunk >= 2)))'
    )


def test_many_parts_are_halved_so_that_the_nest_stays_flat() -> None:
    parts = [f"part{n}" for n in range(1000)]
    text = joined("or", parts)
    depth = np.cumsum([(mark == "(") - (mark == ")") for mark in text])
    assert (depth.max(), depth[-1]) == (8, 0)
    assert re.findall(r"part\d+", text) == parts
    assert joined("and", parts[:3]) == "(part0 and part1 and part2)"
    assert expression_of({"or": [{"chunk": {"gte": n + 1}} for n in range(9)]}).startswith("(((chunk >= 1) or")
    tails = expression(chunks_of([Tail(str(n), 1) for n in range(9)]))
    assert tails.startswith('(((document_id in ["0"] and (chunk >= 1)) or')


def test_answers_that_are_too_large_are_asked_for_in_halves() -> None:
    asked: list[int] = []

    def ask(numbers: Sequence[int]) -> list[int]:
        asked.append(len(numbers))
        if len(numbers) > 3 or -1 in numbers:
            raise AnswerTooLarge("too large")
        return [2 * number for number in numbers]

    assert in_parts(ask, range(10)) == [2 * number for number in range(10)]
    assert asked == [10, 5, 2, 3, 5, 2, 3]
    with pytest.raises(AnswerTooLarge, match="too large"):
        in_parts(ask, [1, -1])


def test_a_server_whose_parts_lost_each_other_is_busy() -> None:
    """Seen on one that had stood still for minutes."""
    message = "failed to query: channel lacks[channel=channel not subscribed]: channel not available[channel=by-dev]"
    with pytest.raises(StoreBusy, match=r"here: failed to query: .*not available.*\(code 503\)"):
        raise of_exception("here", MilvusException(503, message))


class Rpc(grpc.RpcError):  # type: ignore[misc]
    """As gRPC raises it."""

    def __init__(self, state: str, details: str) -> None:
        self.state, self.text = state, details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode[self.state]

    def details(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("state", "details", "kind", "told"),
    [
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", StoreBusy, r"here: Deadline Exceeded \(DEADLINE_EXCEEDED\)"),
        ("RESOURCE_EXHAUSTED", "too many streams", StoreBusy, "too many streams"),
        ("UNAVAILABLE", "closing", StoreBusy, "closing"),
        ("RESOURCE_EXHAUSTED", "message larger than max (72 vs. 67)", AnswerTooLarge, "ask for fewer hits at once"),
        ("UNAUTHENTICATED", "auth check failure", StoreError, r"auth check failure.*set \$MILVUS_TOKEN"),
        ("INTERNAL", "broken", StoreError, "broken"),
    ],
)
def test_errors_of_grpc_become_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, details: str, kind: type[StoreError], told: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise Rpc(state, details)

    assert isinstance(of_rpc("here", Rpc(state, details)), kind)
    with pytest.raises(kind, match=told):
        raise of_rpc("here", Rpc(state, details))
    with connect(tmp_path) as store:
        store.ingest([Document("a", "hello")])
        monkeypatch.setattr(MilvusClient, "query", refuse)
        with pytest.raises(kind, match=details[:8]):
            store.store.count()
