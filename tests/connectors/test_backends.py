"""One suite for every backend: what a connector promises, with real clients, the encoder faked."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors import (
    Chunk,
    ContractMismatch,
    ContractMissing,
    Document,
    EmbeddingContract,
    Mark,
    Native,
    StoreError,
    StoreNotFound,
)
from jina_v3_connectors import (
    settings as agreement,
)
from jina_v3_connectors.fusion import Words
from jina_v3_encoder import Blend
from jina_v3_encoder.errors import InvalidInput, InvalidVector
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.usage import count_usage

from ..support.backends import Backend, Embedded, Milvus, PineconeService, Postgres, same_vectors

TEXTS = {
    "cats": "The black cat sleeps. It dreams of mice.",
    "moon": "The moon is far away. It has no air.",
    "bread": "Bread rises slowly. It needs warmth.",
}


def documents(**changes: str) -> list[Document]:
    return [Document(name, text, {"topic": name}) for name, text in (TEXTS | changes).items()]


def many(count: int) -> list[Document]:
    return [Document(f"d{n}", f"Text number {n}. It goes on.", {"n": n, "even": n % 2 == 0}) for n in range(count)]


def expected(corpus: list[Document], dimensions: int = 32) -> dict[str, np.ndarray]:
    """Point ids and vectors, straight from the encoder."""
    encoder = FakeEncoder()
    vectors: dict[str, np.ndarray] = {}
    for document in corpus:
        spans = [(0, document.text.index(".") + 1), (document.text.index(".") + 2, len(document.text))]
        rows = encoder.encode_spans(document.text, spans, task="retrieval.passage", dimensions=dimensions)
        vectors |= {str(Chunk(document.id, n, 0, 0, "").id): row for n, row in enumerate(rows)}
    return vectors


def test_ids_and_vectors_are_exactly_those_of_the_encoder(backend: Backend) -> None:
    with backend.connect() as store:
        report = store.ingest(many(150))
        assert (report.documents, report.chunks, store.count()) == (150, 300, 300)
        texts = [document.text for document in many(150)]
        assert report.tokens == sum(FakeEncoder().count_tokens(texts, "retrieval.passage"))
        assert sorted(store.ids()) == sorted((f"d{n}", chunk) for n in range(150) for chunk in (0, 1))
    assert same_vectors(backend.vectors(), expected(many(150)))


def test_blended_vectors_are_those_of_the_encoder(backend: Backend) -> None:
    encoder, blend = FakeEncoder(), Blend(late=2, neighbours=0.5)
    with backend.connect(late_chunking=blend) as store:
        store.ingest(many(20))
        assert store.contract.blend == blend
    with backend.open(FakeEncoder(), "docs") as again:
        assert again.contract.blend == blend
    with backend.connect(late_chunking=blend) as again:
        assert again.ingest(many(20)).unchanged == 20
    wanted: dict[str, np.ndarray] = {}
    for document in many(20):
        spans = [(0, document.text.index(".") + 1), (document.text.index(".") + 2, len(document.text))]
        rows = encoder.encode_spans(document.text, spans, task="retrieval.passage", dimensions=32, blend=blend)
        wanted |= {str(Chunk(document.id, n, 0, 0, "").id): row for n, row in enumerate(rows)}
    assert same_vectors(backend.vectors(), wanted)


def test_a_hit_is_complete_and_its_score_a_cosine(backend: Backend) -> None:
    encoder = FakeEncoder()
    with backend.connect() as store:
        store.ingest(documents())
        best, *others = store.search("the black cat sleeps", limit=3)
        assert best.chunk == Chunk("cats", 0, 0, 21, "The black cat sleeps.", {"topic": "cats"})
        assert len(others) == 2
        question = encoder.encode("the black cat sleeps", task="retrieval.query", dimensions=32)
        vector = expected(documents())[str(best.chunk.id)]
        assert best.score == pytest.approx(float(question @ vector), abs=1e-5)
        scores = [hit.score for hit in store.search("it", limit=6)]
        assert scores == sorted(scores, reverse=True)


def test_search_many_is_search_one_by_one(backend: Backend) -> None:
    queries = ["black cat", "the moon", "warm bread"]
    with backend.connect() as store:
        store.ingest(documents())
        together = store.search_many(queries, limit=2)
        for hits, query in zip(together, queries, strict=True):
            alone = store.search(query, limit=2)
            assert [hit.chunk for hit in hits] == [hit.chunk for hit in alone]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in alone], abs=1e-6)
        assert store.search_many([]) == []


def test_again_does_nothing_and_says_so(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(documents())
        report = store.ingest(documents())
        assert (report.documents, report.chunks, report.unchanged) == (0, 0, 3)
        assert store.count() == 6


def test_changed_and_removed_documents(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(documents())
        store.ingest([Document("cats", "The white cat purrs.")])
        assert sorted(store.ids()) == [("bread", 0), ("bread", 1), ("cats", 0), ("moon", 0), ("moon", 1)]
        store.ingest([Document("cats", "")])
        assert {name for name, _ in store.ids()} == {"bread", "moon"}
        report = store.ingest(documents()[:2], prune=True)
        assert report.pruned == 1
        assert {name for name, _ in store.ids()} == {"cats", "moon"}
        store.delete(["moon", "unknown"])
        assert {name for name, _ in store.ids()} == {"cats"}


def test_reopened_without_settings_it_knows_them(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(documents())
        contract = store.contract
    with backend.open(FakeEncoder(), "docs") as again:
        assert again.contract == contract
        assert (again.contract.dimensions, again.contract.late_chunking) == (32, True)
        assert again.search("a black cat", limit=1)[0].chunk.document_id == "cats"


def test_a_collection_may_be_made_first(backend: Backend) -> None:
    with backend.connect() as store:
        store.create()
        store.create()
        assert store.count() == 0
        assert store.search("x") == []
    with pytest.raises(ContractMismatch, match="dimensions"):
        backend.connect(dimensions=16)


def test_before_anything_was_stored(backend: Backend) -> None:
    with backend.connect() as store:
        assert (store.count(), list(store.ids())) == (0, [])
        for call in (lambda: store.search("x"), lambda: store.delete(["x"]), lambda: store.swap_alias("live")):
            with pytest.raises(StoreNotFound, match="ingest documents into it first"):
                call()


OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("dimensions", {"dimensions": 16}),
    ("late_chunking", {"late_chunking": False}),
    ("window", {"window": 100, "overlap": 10}),
    ("overlap", {"overlap": 7}),
    ("fingerprint", {"encoder": FakeEncoder(model_id="other")}),
]


@pytest.mark.parametrize(("field", "settings"), OTHERS, ids=[field for field, _ in OTHERS])
def test_another_contract_is_refused_on_open_on_write_and_on_search(
    backend: Backend, field: str, settings: dict[str, Any]
) -> None:
    with backend.connect(**settings) as early:
        with backend.connect() as store:
            store.ingest(documents())
        for call in (lambda: early.search("x"), lambda: early.ingest(documents()), lambda: early.delete(["cats"])):
            with pytest.raises(ContractMismatch, match=rf"(?s){field}: the collection has .*you use .*Nothing was"):
                call()
    with pytest.raises(ContractMismatch) as caught:
        backend.connect(**settings)
    assert field in caught.value.differences
    assert same_vectors(backend.vectors(), expected(documents()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("passage_task", "another"),
        ("query_task", "another"),
        ("prompts", False),
        ("normalized", False),
        ("output_type", "another"),
    ],
)
def test_fields_that_no_setting_changes_are_compared_too(
    backend: Backend, field: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = EmbeddingContract
    with monkeypatch.context() as patch:
        patch.setattr(agreement, "EmbeddingContract", lambda **values: original(**{**values, field: value}))
        with backend.connect() as store:
            store.ingest([])
    with pytest.raises(ContractMismatch, match=f"{field}: the collection has {value!r}"):
        backend.connect()


def test_another_chunker_may_search_but_not_write(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(documents())
    with backend.open(FakeEncoder(), "docs") as other:
        assert other.search("cat")
        with pytest.raises(ContractMismatch, match="chunker: the collection has 'sentences', you use 'whole document'"):
            other.ingest(documents())


def test_a_collection_without_a_contract(backend: Backend) -> None:
    backend.foreign()
    with pytest.raises(
        ContractMissing,
        match=r"(?s)does not say which model made its vectors.*adopt=True \(--adopt\)\. Nothing was changed",
    ):
        backend.connect()
    with backend.connect(adopt=True) as store:
        assert store.count() == 0
        store.ingest(documents())
        assert store.search("a black cat", limit=1)[0].chunk.document_id == "cats"
    with backend.connect() as store:
        assert store.count() == 6, "adopted for good"
    with pytest.raises(ContractMismatch, match="fingerprint"):
        backend.connect(encoder=FakeEncoder(model_id="other"), adopt=True)


@pytest.mark.parametrize(("size", "metric", "field"), [(16, "cosine", "dimensions"), (32, "dot", "metric")])
def test_what_cannot_be_adopted(backend: Backend, size: int, metric: str, field: str) -> None:
    backend.foreign(size, metric)
    with pytest.raises(ContractMismatch, match=f"{field}: the collection has"):
        backend.connect(adopt=True)
    with pytest.raises(ContractMissing, match="does not say which model made its vectors"):
        backend.connect()


class Broken(FakeEncoder):
    """Returns what no store may receive."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def encode_documents(self, texts: Any, spans: Any, **settings: Any) -> list[np.ndarray]:
        return [np.array([self.values] * len(document_spans), dtype=np.float32) for document_spans in spans]


@pytest.mark.parametrize(
    "values", [[0.0] * 32, [math.nan] * 32, [1.0] * 32, [1.0]], ids=["zero", "nan", "long", "size"]
)
def test_bad_vectors_never_reach_the_store(backend: Backend, values: list[float]) -> None:
    with backend.connect(encoder=Broken(values)) as store:
        with pytest.raises(InvalidVector, match=r"expected unit length|the collection stores 32"):
            store.ingest(documents())
        assert store.count() == 0


def test_filters(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(many(40))

        def found(condition: dict[str, object]) -> set[int]:
            return {int(hit.chunk.document_id[1:]) for hit in store.search("text", limit=100, filter=condition)}

        assert found({"n": {"gte": 10, "lt": 13}}) == {10, 11, 12}
        assert found({"even": True, "n": {"lt": 5}}) == {0, 2, 4}
        assert found({"or": [{"document_id": "d3"}, {"n": 7}]}) == {3, 7}
        assert found({"not": {"n": {"gte": 2}}}) == {0, 1}
        assert found({"n": {"in": [1, 99]}}) == {1}
        assert found({"absent": "x"}) == set()
        assert {hit.chunk.number for hit in store.search("text", limit=9, filter={"chunk": 1})} == {1}


def test_marks_are_metadata_of_the_chunks_that_start_there(backend: Backend) -> None:
    marks = (Mark(0, {"page": 1, "section": ["Guide"]}), Mark(11, {"page": 2, "section": ["Guide", "Setup"]}))
    marked = Document("m", "First one. Second one. Third one.", {"lang": "en"}, marks=marks)
    with backend.connect() as store:
        store.ingest([marked, *documents()])

        def numbers(condition: dict[str, object]) -> list[int]:
            return sorted(hit.chunk.number for hit in store.search("one", limit=100, filter=condition))

        assert numbers({"page": 1}) == [0]
        assert numbers({"page": {"gte": 2}}) == [1, 2]
        assert numbers({"section": "Guide"}) == [0, 1, 2], "a heading finds all that stands below it"
        assert numbers({"section": "Setup", "lang": "en"}) == [1, 2]
        (hit, *_) = store.search("one", limit=1, filter={"chunk": 2, "document_id": "m"})
        assert dict(hit.chunk.metadata) == {"lang": "en", "page": 2, "section": ["Guide", "Setup"]}
        assert store.ingest([marked, *documents()]).unchanged == 4
        assert store.ingest([replace(marked, marks=marks[:1]), *documents()]).unchanged == 3
        assert numbers({"page": 1}) == [0, 1, 2]


def test_native_filters(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(many(40))
        if isinstance(backend, Milvus):
            native: Any = 'metadata["n"] == 7'
        elif isinstance(backend, PineconeService):
            native = {"meta.n": {"$eq": 7}}
        elif isinstance(backend, Postgres):
            native = "metadata ->> 'n' = '7'"
        else:
            from jina_v3_connectors.filters import Equal

            module = "engine" if backend.url.startswith("qdrant:") else "remote"
            translator = __import__(f"jina_v3_connectors.qdrant.{module}", fromlist=["FILTERS"]).FILTERS
            native = translator.filter(Equal("n", numbers=(7,)))
        hits = store.search("text", limit=9, filter=Native(native))
        assert {hit.chunk.document_id for hit in hits} == {"d7"}


def test_metadata_of_every_kind_comes_back(backend: Backend) -> None:
    metadata = {
        "lang": "de",
        "n": 3,
        "x": 2.5,
        "yes": True,
        "none": None,
        "list": ["a", 1, None, {"b": [1]}],
        "deep": {"er": {"é": "東京"}},
        "": "empty key",
        "text": "clash",
        "document_id": 5,
    }
    document = Document("ö/1", "One sentence. And another.", metadata)
    with backend.connect() as store:
        store.ingest([document])
        (hit,) = store.search("one", limit=1)
        assert dict(hit.chunk.metadata) == metadata
        assert hit.chunk.document_id == "ö/1"


def test_awkward_ids_and_texts(backend: Backend) -> None:
    names = ['quote"d', "back\\slash", "{brace}", "ünï", " ", "a" * 300]
    corpus = [Document(name, f'Text of {number}. It\'s 100 % "fine" \\ ok.') for number, name in enumerate(names)]
    with backend.connect() as store:
        store.ingest(corpus)
        assert {name for name, _ in store.ids()} == set(names)
        for name in names:
            (hit, *_) = store.search("text", limit=2, filter={"document_id": name})
            assert hit.chunk.document_id == name
        store.ingest([Document(name, "Short.") for name in names])
        assert sorted(store.ids()) == sorted((name, 0) for name in names)
        store.delete(names)
        assert store.count() == 0


def test_reading_changes_nothing(backend: Backend) -> None:
    """A store that took over a layout while it read kept parts of its caller's."""
    with backend.connect() as store:
        before = dict(vars(store.store))
        assert store.store.read() is None
        store.create()
    with backend.connect() as store:
        assert store.stored == store.store.read() == store.store.read_recent()
        after = dict(vars(store.store))
        for name in ("new_layout", "new_kind", "new_location"):
            assert after.get(name) == before.get(name)
        for read in (store.store.read, store.store.read_recent):
            read()
            changed = {name for name, value in vars(store.store).items() if after.get(name) != value}
            assert changed <= {"_last_read"}, "Pinecone's memory of what it read"


def test_a_collection_is_taken_as_it_is_at_each_call(backend: Backend) -> None:
    """One that was opened before there was any, with settings that leave all to the collection."""
    if isinstance(backend, Embedded):
        pytest.skip("one connector at a time")
    with backend.open(FakeEncoder(), "docs") as early, backend.connect() as other:
        assert early.stored is None
        other.ingest(many(3))
        assert len(early.search("text", limit=10)) == 6
        assert (early.contract, early.stored) == (other.contract, other.stored)


def test_questions_that_are_encoded_already(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(many(5))
        questions = ["Text number 3.", "It goes on."]
        rows = store.encoder.encode(questions, task="retrieval.query", dimensions=32)
        pairs = zip(store.nearest(rows, limit=3), store.search_many(questions, limit=3), strict=True)
        for hits, wanted in pairs:
            assert [hit.chunk for hit in hits] == [hit.chunk for hit in wanted]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in wanted], abs=1e-6)
        even = store.nearest(rows, limit=10, filter={"even": True})
        assert {hit.chunk.document_id for hit in even[0]} == {"d0", "d2", "d4"}
        assert store.nearest(rows[:0]) == []
        with pytest.raises(InvalidVector, match="the collection stores 32"):
            store.nearest(np.ones((1, 64), np.float32))
        with pytest.raises(InvalidInput, match="limit must be a whole number above 0, got 0"):
            store.nearest(rows, limit=0)


def test_delete_takes_ids_and_nothing_else(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest([Document(name, "A text.") for name in "abc"])
        with pytest.raises(InvalidInput, match="delete takes several ids, got the str 'abc'"):
            store.delete("abc")
        with pytest.raises(InvalidInput, match="a document's id must be a str, got 7"):
            store.delete([7])  # type: ignore[list-item]
        with pytest.raises(InvalidInput, match="lone surrogate"):
            store.delete(["a\ud800"])
        assert store.count() == 3


def test_large_limits(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(many(30))
        assert len(store.search("text", limit=1000)) == 60
        if isinstance(backend, Milvus | PineconeService):
            with pytest.raises(InvalidInput, match="hits at most"):
                store.search("text", limit=20_000)


def test_hybrid_search(backend: Backend) -> None:
    corpus = [*many(60), Document("rare", "Zyxwv appears once. Nothing else does.")]
    if not backend.hybrid:
        with backend.connect() as store:
            store.ingest(corpus[:3])
            with pytest.raises(InvalidInput, match="not made for hybrid search"):
                store.search("zyxwv", hybrid=True)
        return
    with backend.connect(hybrid=True) as store:
        store.ingest(corpus)
    with backend.connect() as store:
        hits = store.search("zyxwv", limit=5, hybrid=True)
        assert hits[0].chunk.document_id == "rare"
        exact = {hit.chunk.id: hit.score for hit in store.search("zyxwv", limit=200)}
        for hit in hits:
            assert hit.score == pytest.approx(exact[hit.chunk.id], abs=1e-5), "scores stay cosines"
        assert all(hit.chunk.metadata["even"] for hit in store.search("text", hybrid=True, filter={"even": True}))
        both = store.search_many(["zyxwv", "text"], limit=3, hybrid=True)
        assert [len(hits) for hits in both] == [3, 3]
        vectors = store.encoder.encode(["zyxwv", "text"], task="retrieval.query", dimensions=store.contract.dimensions)
        words = Words(["zyxwv", "text"], store.store.fusion)
        asked = store.nearest(vectors, limit=3, words=words)
        assert [[hit.chunk.id for hit in hits] for hits in asked] == [[hit.chunk.id for hit in hits] for hits in both]
        with pytest.raises(InvalidInput, match="got 2 for 1 vectors"):
            store.nearest(vectors[:1], words=words)


def test_scores_are_fused(backend: Backend) -> None:
    """An order of its own; cosines, limits, filters and several questions hold. The sums are in test_fusion."""
    if not backend.hybrid:
        return
    with backend.connect(hybrid=True) as store:
        store.ingest(
            [*many(20), Document("rare", "Zyxwv appears with text number 3. Zyxwv zyxwv number. Nothing else.")]
        )
        query = "zyxwv or text number 3"
        cosines = {hit.chunk.id: hit.score for hit in store.search(query, limit=100)}
        hits = store.search(query, limit=100, hybrid="scores")
        assert {hit.chunk.id: hit.score for hit in hits} == pytest.approx(cosines, abs=1e-5), "scores stay cosines"
        by_meaning = sorted(cosines, key=lambda key: -cosines[key])
        by_ranks = [hit.chunk.id for hit in store.search(query, limit=100, hybrid="ranks")]
        order = [hit.chunk.id for hit in hits]
        assert order not in (by_meaning, by_ranks)
        assert store.search("zyxwv", hybrid="scores")[0].chunk.document_id == "rare"
        assert hits == store.search(query, limit=100, hybrid=True), "what hybrid search does unless told"
        assert [hit.chunk.id for hit in store.search(query, limit=4, hybrid="scores")] == order[:4]
        even = store.search(query, limit=100, hybrid="scores", filter={"even": True})
        assert len(even) == 20
        assert all(hit.chunk.metadata["even"] for hit in even)
        questions = [query, "zzz", "!?", "text number 7"]
        answers = store.search_many(questions, limit=5, hybrid="scores")
        assert answers[0] == hits[:5]
        for question, answer in zip(questions, answers, strict=True):
            assert answer == store.search(question, limit=5, hybrid="scores")
        for number in (1, 2):
            plain = store.search(questions[number], limit=5)
            assert [hit.chunk.id for hit in answers[number]] == [hit.chunk.id for hit in plain], "no word is shared"
        with pytest.raises(InvalidInput, match="hybrid must be True, False, 'ranks' or 'scores', got 'score'"):
            store.search(query, hybrid="score")  # type: ignore[arg-type]


def test_hybrid_search_is_not_added_to_a_collection(backend: Backend) -> None:
    """It was accepted without a word, and `search(hybrid=True)` refused it after everything was encoded."""
    if not backend.hybrid:
        return
    with backend.connect() as store:
        store.ingest(many(3))
    words = "'docs' was made with another layout, .*\n  hybrid: the collection has False, you use True\n.* Nothing was"
    encoder = FakeEncoder()
    with backend.connect(hybrid=True, encoder=encoder) as store:
        for write in (store.create, lambda: store.ingest(many(4))):
            with pytest.raises(StoreError, match=words), count_usage() as usage:
                write()
            assert usage.tokens == 0
        assert store.search("text"), "a search needs no layout"
        assert store.count() == 6


def test_aliases(backend: Backend) -> None:
    with backend.connect("first") as first:
        first.ingest(many(3))
        if not backend.aliases:
            with pytest.raises(StoreError, match=r"no aliases.*version=2"):
                first.swap_alias("live")
            return
        first.swap_alias("live")
    with backend.connect("second") as second:
        second.ingest(many(5))
        with backend.connect("live") as live:
            assert live.count() == 6
        second.swap_alias("live")
        with pytest.raises(StoreError, match=r"is a collection|already exists|is a table"):
            second.swap_alias("first")
    with backend.connect("live") as live:
        assert live.count() == 10
        assert live.search("text number 4", limit=1)


def test_async(backend: Backend) -> None:
    async def go() -> None:
        with backend.connect() as store:
            report = await store.ingest_async(documents(), prune=True)
            assert report.documents == 3
            one, many_hits, count = await asyncio.gather(
                store.search_async("a black cat", limit=1),
                store.search_many_async(["the moon", "bread"], limit=1),
                store.count_async(),
            )
            assert one[0].chunk.document_id == "cats"
            assert [hits[0].chunk.document_id for hits in many_hits] == ["moon", "bread"]
            assert count == 6
            await store.delete_async(["cats"])
            assert await store.count_async() == 4

    asyncio.run(go())


def test_closed_twice(backend: Backend) -> None:
    store = backend.connect()
    store.ingest(documents())
    store.close()
    store.close()


def test_a_dropped_collection_is_gone_and_may_be_made_again(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest([Document("a", "One sentence. Another one.")])
        store.store.drop()
    with backend.connect() as store:
        assert store.count() == 0
        store.store.drop()
    with backend.connect() as store:
        assert store.ingest([Document("b", "A third one.")]).chunks == 1
        assert list(store.ids()) == [("b", 0)]
