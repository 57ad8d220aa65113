"""A journal is believed only where it is the collection's own and the collection holds what it says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors import AnotherWriter, Chunk, Document, RetryPolicy, StoreError, VectorConnector
from jina_v3_connectors.documents import Tail
from jina_v3_connectors.filters import chunks_of
from jina_v3_connectors.ingestion import reconcile
from jina_v3_connectors.ingestion.journal import Journal
from jina_v3_connectors.pinecone import store as pinecone_store
from jina_v3_encoder.state import STATE_VARIABLE

from ...support.backends import Backend, Embedded, same_vectors
from ..test_backends import expected, many


@pytest.fixture(autouse=True)
def _no_long_wait_for_pinecone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinecone_store.PineconeStore, "counts_after", 0.2)
    monkeypatch.setattr(pinecone_store.PineconeStore, "writer_pause", 0.0)
    monkeypatch.setattr(reconcile, "COUNT_PAUSE", 0.05)


def has_writer(backend: Backend) -> bool:
    """An embedded collection's journal lies in its folder."""
    return not isinstance(backend, Embedded)


def write_as_another(connector: VectorConnector, chunks: list[Chunk]) -> None:
    """Write chunks as a machine would that has a journal of its own."""
    assert connector.stored is not None
    texts = [chunk.text for chunk in chunks]
    vectors = connector.encoder.encode(texts, task="retrieval.passage", dimensions=32)
    connector.store.upsert(chunks, vectors, connector.stored.layout)


def test_what_the_store_has_lost_is_written_again(backend: Backend) -> None:
    corpus = many(40)
    with backend.connect() as store:
        store.ingest(corpus)
        store.store.delete(chunks_of([Tail("d3", 0), Tail("d4", 1)]))
        report = store.ingest(corpus)
        assert (report.documents, report.unchanged) == (2, 38)
        assert report.remarks == [
            "2 documents were not in the collection as this machine's journal says: "
            "they are written again when they are ingested"
        ]
        assert store.ingest(corpus).remarks == []
    assert same_vectors(backend.vectors(), expected(corpus))


def test_an_emptied_collection_is_filled_again(backend: Backend) -> None:
    corpus = many(10)
    with backend.connect() as store:
        store.ingest(corpus)
        store.store.delete(chunks_of([Tail(document.id, 0) for document in corpus]))
        report = store.ingest(corpus[:7], prune=True)
        assert (report.documents, report.unchanged, report.pruned) == (7, 0, 3)
    assert same_vectors(backend.vectors(), expected(corpus[:7]))


def test_a_deleted_shard_is_filled_again(tmp_path: Path, milvus_url: Any) -> None:
    from ...support.backends import backend_named

    with backend_named("embedded", tmp_path, milvus_url) as backend:
        with backend.connect() as store:
            store.ingest(many(10))
        (shard,) = tmp_path.rglob("shard")
        shutil.rmtree(shard)
        with backend.connect() as store:
            assert store.ingest(many(10)).documents == 10
        assert same_vectors(backend.vectors(), expected(many(10)))


def test_what_others_wrote_is_told_once_and_left(backend: Backend) -> None:
    with backend.connect() as store:
        store.ingest(many(10))
        write_as_another(store, [Chunk("foreign", 0, 0, 4, "text")])
        report = store.ingest(many(10), prune=True)
        assert (report.unchanged, report.pruned) == (10, 0)
        (remark,) = report.remarks
        assert remark.startswith(
            "the collection holds 1 documents (1 chunks) that this machine's journal does not know"
        )
        assert "take_over=True" in remark
        assert store.ingest(many(10)).remarks == [], "it is counted from now on"
        assert ("foreign", 0) in set(store.ids())
        report = store.ingest(many(10), take_over=True, prune=True)
        assert (report.documents, report.pruned) == (10, 1)
    assert same_vectors(backend.vectors(), expected(many(10)))


def test_a_document_of_others_is_replaced_whole(backend: Backend) -> None:
    """It had more chunks than ours, and our journal does not know of it."""
    with backend.connect() as store:
        store.ingest(many(3))
        chunks = [Chunk("d9", number, 0, 4, "text") for number in range(4)]
        write_as_another(store, chunks)
        store.ingest([document for document in many(10) if document.id in ("d0", "d9")])
        assert sorted(number for name, number in store.ids() if name == "d9") == [0, 1]


def test_another_machine_is_refused_until_it_takes_over(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this: the second machine never prunes what the first wrote, the first takes the second's for its own."""
    if not has_writer(backend) or backend.url.startswith("milvus:"):
        pytest.skip("the journal lies beside the data")
    older, newer = many(6), [Document("d0", "Another text. It is new."), *many(4)[1:]]
    with backend.connect() as store:
        store.ingest(older)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "machine-2"))
    with backend.connect() as store:
        with pytest.raises(AnotherWriter, match=r"(?s)'docs' was last written with another journal.*--take-over"):
            store.ingest(newer)
        assert same_vectors(backend.vectors(), expected(older)), "nothing was changed"
        report = store.ingest(newer, take_over=True, prune=True)
        assert (report.documents, report.pruned) == (4, 2)
        assert same_vectors(backend.vectors(), expected(newer))
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    with backend.connect() as store, pytest.raises(AnotherWriter, match="last written with another journal"):
        store.ingest(older)


def test_an_older_copy_of_the_journal_is_refused(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a backup that was put back: it takes for unchanged what has changed since."""
    if not has_writer(backend) or backend.url.startswith("milvus:"):
        pytest.skip("the journal lies beside the data")
    state = Path(backend.environment[STATE_VARIABLE])
    with backend.connect() as store:
        store.ingest(many(3))
        shutil.copytree(state, tmp_path / "backup")
        store.ingest([Document("d0", "Newer. Text."), *many(3)[1:]])
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "backup"))
    with backend.connect() as store, pytest.raises(AnotherWriter, match="a later state of this journal"):
        store.ingest(many(3))


def test_a_take_over_during_a_run_is_noticed_before_anything_is_pruned(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_writer(backend) or backend.url.startswith("milvus:"):
        pytest.skip("the journal lies beside the data")

    def documents() -> Any:
        yield many(1)[0]
        monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "machine-2"))
        with backend.connect() as second:
            second.ingest(many(5), take_over=True)

    with backend.connect() as first:
        first.ingest(many(5))
        with pytest.raises(AnotherWriter, match="last written with another journal"):
            first.ingest(documents(), prune=True)
        assert first.count() == 10


def test_a_take_over_during_a_run_stops_it_before_its_next_write(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_writer(backend) or backend.url.startswith("milvus:"):
        pytest.skip("the journal lies beside the data")
    older, newer = many(200), [Document(f"d{n}", "Newer. Text.") for n in range(200)]

    def documents() -> Any:
        monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "machine-2"))
        with backend.connect() as second:
            second.ingest(newer, take_over=True)
        yield from older

    with backend.connect() as first:
        with pytest.raises(AnotherWriter, match="last written with another journal"):
            first.ingest(documents())
        assert same_vectors(backend.vectors(), expected(newer))


def test_an_alias_that_is_moved_during_a_run_stops_it(backend: Backend) -> None:
    """Without this, one collection gets the vectors that were made by the other's contract."""
    if not backend.aliases or isinstance(backend, Embedded) or backend.url.startswith("milvus:"):
        pytest.skip("no aliases, or one process at a time")
    with backend.connect("old") as old, backend.connect("new", late_chunking=False) as new:
        old.ingest(many(1))
        new.ingest(many(1))
        old.swap_alias("live")

        def documents() -> Any:
            new.swap_alias("live")
            yield from many(200)

        with backend.connect("live") as live, pytest.raises(StoreError, match="another one than when this ingest"):
            live.ingest(documents())
        assert new.count() == 2
        assert new.ingest(many(1)).unchanged == 1


def test_a_mark_that_the_server_lost_is_set_again(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Milvus 2.3 does when it is killed: the collection is the same, so the run goes on."""
    if not has_writer(backend) or backend.url.startswith("milvus:"):
        pytest.skip("the journal lies beside the data")
    with backend.connect() as store:
        store.ingest(many(1))
        token = store.store.writer()
        assert token is not None

        def documents() -> Any:
            monkeypatch.setattr(store.store, "writer", lambda: None)
            yield from many(20)

        set_writer = store.store.set_writer
        marks: list[str] = []

        def noted(mark: str) -> None:
            marks.append(mark)
            set_writer(mark)

        monkeypatch.setattr(store.store, "set_writer", noted)
        report = store.ingest(documents())
        monkeypatch.undo()
        assert (report.documents, report.unchanged) == (19, 1)
        assert store.store.writer() == marks[-1] != token
        assert len(marks) >= 2
    assert same_vectors(backend.vectors(), expected(many(20)))


def test_a_connector_that_was_opened_before_there_was_a_collection_sees_it(backend: Backend) -> None:
    with backend.connect("early") as early:
        with backend.connect("early") as other:
            other.ingest(many(3))
            if not isinstance(backend, Embedded):
                assert (early.count(), len(list(early.ids()))) == (6, 6)
        assert (early.count(), len(list(early.ids()))) == (6, 6)


def test_an_alias_names_the_same_collection_to_the_journal(backend: Backend) -> None:
    if not backend.aliases:
        pytest.skip("no aliases")
    with backend.connect("first") as first:
        first.ingest(many(3))
        first.swap_alias("live")
    with backend.connect("live") as live:
        report = live.ingest(many(5), prune=True)
        assert (report.unchanged, report.documents, report.remarks) == (3, 2, [])
    with backend.connect("first") as first:
        assert first.ingest(many(5)).unchanged == 5


def test_two_ingests_with_one_journal_take_turns(backend: Backend) -> None:
    """Without this: the first one's record closes a row that the second one opened, and it counts as stored whole."""
    if isinstance(backend, Embedded):
        pytest.skip("one connector at a time")
    once = RetryPolicy(first=0.01, longest=0.01, total=0.2)

    def documents() -> Any:
        yield many(1)[0]
        with backend.connect() as second, pytest.raises(StoreError, match="another ingest on this machine"):
            second.ingest([Document("d0", "Other. Text.")], retry=once)

    with backend.connect() as first:
        first.create()
        assert first.ingest(documents()).documents == 1
        assert first.ingest(many(1)).unchanged == 1
    assert same_vectors(backend.vectors(), expected(many(1)))


def test_an_open_document_does_not_hide_what_others_have_lost(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunks of the open one make up for those that are missing, so no count can tell."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with backend.connect() as store:
        store.ingest(many(2))
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "record", stopped)
            with pytest.raises(KeyboardInterrupt):
                store.ingest(many(3))
        store.store.delete(chunks_of([Tail("d0", 0)]))
        assert store.ingest(many(3)).unchanged == 1
    assert same_vectors(backend.vectors(), expected(many(3)))
