"""What is particular to Pinecone: tags, names, keys, waiting for one's own writes, the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pinecone import Pinecone

from jina_v3_connectors import Chunk, Document, EmbeddingContract, StoreBusy, StoreError, WholeDocument
from jina_v3_connectors.documents import Tail
from jina_v3_connectors.filters import chunks_of, parse_filter
from jina_v3_connectors.pinecone import PineconeConnector
from jina_v3_connectors.pinecone.convert import to_fields
from jina_v3_connectors.pinecone.filters import expression
from jina_v3_connectors.pinecone.schema import from_tags, index_arguments, to_tags
from jina_v3_connectors.stored_chunk import to_hit
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ...servers.pinecone import holds, pinecone_server
from ...servers.rest import Failures
from ...support.conditions import matches

CONTRACT = EmbeddingContract("nano", None, "0123456789abcdef", 256, "sentences", late_chunking=True, window=512)
KEY = "pcsk-very-secret"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


@pytest.fixture
def client() -> Iterator[Pinecone]:
    with pinecone_server() as (url, _):
        client = Pinecone(api_key=KEY, host=url)
        yield client
        client.close()


def connect(client: Pinecone, name: str = "docs", **settings: Any) -> PineconeConnector:
    return PineconeConnector(FakeEncoder(), name, client=client, chunker=WholeDocument(), **settings)


@pytest.mark.parametrize("model", ["nano", "jinaai/jina-embeddings-v3", "/data/ümlaut/" + "x" * 200, '"quoted\\'])
def test_the_contract_is_told_in_tags(model: str) -> None:
    contract = replace(CONTRACT, model=model)
    tags = to_tags(contract)
    assert all(len(value) <= 120 and value.isascii() and value.isprintable() for value in tags.values())
    assert len(tags) <= 20
    assert from_tags({**tags, "team": "search"}, "docs") == contract
    assert tags["jina_v3-dimensions"] == "256"
    assert tags["jina_v3-passage_task"] == '"retrieval.passage"'


def test_tags_that_say_nothing_or_nonsense() -> None:
    assert from_tags({"team": "search"}, "docs") is None
    with pytest.raises(StoreError, match="tags of index 'docs' are damaged"):
        from_tags({**to_tags(CONTRACT), "jina_v3-window": "{"}, "docs")
    with pytest.raises(StoreError, match="cannot read"):
        from_tags({"jina_v3-window": "1"}, "docs")
    with pytest.raises(InvalidInput, match="needs 31 tags of 120 characters, it may have 19 at most: shorten 'model'"):
        to_tags(replace(CONTRACT, model="x" * 2000))


@pytest.mark.parametrize("kind", ["documents", "vectors"])
def test_an_index_is_made_for_cosines_of_the_contracts_size(kind: Any) -> None:
    arguments = json.dumps(index_arguments(CONTRACT, kind, "gcp", "europe-west4"))
    for part in ("256", "cosine", "gcp", "europe-west4", "jina_v3-fingerprint"):
        assert part in arguments


@pytest.mark.parametrize("name", ["", "Docs", "a_b", "-a", "a-", "x" * 46, "ä", 7])
def test_names_of_indexes(client: Pinecone, name: Any) -> None:
    with pytest.raises(InvalidInput, match="lower-case letters, digits and '-', 45 at most"):
        connect(client, name)


@pytest.mark.parametrize("settings", [{"kind": "pods"}, {"namespace": ""}, {"namespace": None}])
def test_bad_settings(client: Pinecone, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        connect(client, **settings)


def test_a_key_is_asked_for_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PINECONE_API_KEY", raising=False)
    with pytest.raises(InvalidInput, match=r"set \$PINECONE_API_KEY, or pass client="):
        PineconeConnector(FakeEncoder(), "docs")
    monkeypatch.setenv("PINECONE_API_KEY", KEY)
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", "http://127.0.0.1:9")
    with pytest.raises(StoreBusy, match="cannot be reached") as caught:
        PineconeConnector(FakeEncoder(), "docs")
    chain: BaseException | None = caught.value
    while chain is not None:
        assert KEY not in str(chain)
        chain = chain.__cause__


def test_versions_stand_in_for_aliases(client: Pinecone) -> None:
    with connect(client, version=2) as store:
        store.ingest([Document("a", "hello")])
    assert [index.name for index in client.indexes.list()] == ["docs-v2"]
    with connect(client, "docs-v2") as same:
        assert same.count() == 1


def test_namespaces_share_a_contract_and_nothing_else(client: Pinecone) -> None:
    corpus = [Document(str(n), f"text {n}") for n in range(5)]
    with connect(client, namespace="one") as one, connect(client, namespace="two") as two:
        one.ingest(corpus)
        report = two.ingest(corpus[:2])
        assert report.documents == 2, "the journal keeps namespaces apart"
        assert (one.count(), two.count()) == (5, 2)
        two.delete(["0"])
        assert (one.count(), two.count()) == (5, 1)
        assert one.contract.collection_id == two.contract.collection_id


def test_a_search_waits_until_it_sees_what_was_written() -> None:
    with pinecone_server(lag=3) as (url, service):
        client = Pinecone(api_key=KEY, host=url)
        with connect(client) as store:
            store.ingest([Document("a", "hello")])
            assert store.search("hello")[0].chunk.document_id == "a"
            assert service.reads > 3
        client.close()


def test_the_contract_is_not_asked_for_at_every_search() -> None:
    failures = Failures()
    with pinecone_server(failures) as (url, _):
        client = Pinecone(api_key=KEY, host=url)
        with connect(client) as store:
            store.ingest([Document("a", "hello")])
            failures.seen.clear()
            for _ in range(5):
                store.search("hello")
            assert [path for _, path in failures.seen if path.startswith("/indexes")] == []
        client.close()


def test_no_request_is_over_the_limits() -> None:
    failures = Failures()
    with pinecone_server(failures) as (url, _):
        client = Pinecone(api_key=KEY, host=url)
        encoder = FakeEncoder(dimensions=1024)
        with PineconeConnector(encoder, "docs", client=client, chunker=WholeDocument()) as store:
            corpus = [Document(str(n), "word" + " " * 20_000) for n in range(120)]
            assert store.ingest(corpus).retried == 0
            assert store.count() == 120
        client.close()


CHUNK = Chunk("d", 3, 1, 9, "text", {"lang": "de", "n": 2, "deep": {"x": 1.5}, "list": [1, None], "no": None})


def test_fields_are_flat() -> None:
    fields = to_fields(CHUNK)
    for value in fields.values():
        assert isinstance(value, str | int | float | bool) or all(isinstance(text, str) for text in value)
    assert (fields["meta.n"], fields["meta.deep.x"]) == (2, 1.5)
    assert "lang:de" in fields["terms"]
    assert to_hit("id", 0.5, fields).chunk == CHUNK
    assert to_hit("id", 0.5, {"text": "x"}).chunk == Chunk("id", 0, 0, 1, "x")


@pytest.mark.parametrize(
    "condition",
    [
        {"lang": "de"},
        {"not": {"lang": "de"}},
        {"not": {"and": [{"lang": "de"}, {"n": {"gt": 1}}]}},
        {"not": {"or": [{"n": {"lt": 2}}, {"chunk": {"gte": 4}}]}},
        {"not": {"deep.x": {"gte": 1, "lt": 2}}},
        {"document_id": {"in": ["d", 3]}},
        {"document_id": {"in": ["e"]}},
        {"chunk": {"gt": 3, "lt": 5}},
        {"chunk": 3},
        {"not": {"n": {"in": [1, "2"]}}},
    ],
    ids=str,
)
def test_a_filter_and_its_negation(condition: dict[str, Any]) -> None:
    row = to_fields(CHUNK)
    parsed, opposite = parse_filter(condition), parse_filter({"not": condition})
    assert not isinstance(parsed, bool)
    assert not isinstance(opposite, bool)
    assert holds(expression(parsed), row) is not holds(expression(opposite), row)
    assert holds(expression(parsed), row) is matches(parsed, CHUNK)


def test_tails() -> None:
    rows = [to_fields(replace(CHUNK, document_id=name, number=n)) for name in "abc" for n in range(3)]
    stale = expression(chunks_of([Tail("a", 0), Tail("b", 2)]))
    kept = [(row["document_id"], row["chunk"]) for row in rows if not holds(stale, row)]
    assert kept == [("b", 0), ("b", 1), ("c", 0), ("c", 1), ("c", 2)]
    assert expression(chunks_of([Tail("a", 0)])) == {"document_id": {"$in": ["a"]}}
