from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors import Document
from jina_v3_connectors.backends import open_store
from jina_v3_connectors.errors import ContractMismatch, DocumentError, StoreError
from jina_v3_connectors.migration.live import MigratingConnector
from jina_v3_connectors.migration.migration import Migration
from jina_v3_connectors.migration.opening import name_reader, open_migration, store_opener
from jina_v3_connectors.migration.sources import open_source
from jina_v3_connectors.migration.spec import MoveSettings, without_password
from jina_v3_connectors.migration.switching import is_switched, readiness, rollback, switch
from jina_v3_encoder.errors import InvalidInput, RemoteError
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import REACHED_BY_OTHERS, Backend, Sentences
from .moving import NEW, OLD, clean_vectors, corpus, fill, move, old_collection, read_all

SAME_PLACE = [name for name in REACHED_BY_OTHERS if name != "documents"]
"""Pinecone keeps one contract for all namespaces of an index, so both sides cannot be in one index."""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return f"qdrant:{tmp_path / 'store'}"


def same(first: dict[str, list[float]], second: dict[str, list[float]], tolerance: float = 1e-6) -> bool:
    return first.keys() == second.keys() and all(np.allclose(first[key], second[key], atol=tolerance) for key in first)


@pytest.mark.parametrize("backend", SAME_PLACE, indirect=True)
def test_everything_is_moved_once_within_a_backend(backend: Backend, tmp_path: Path) -> None:
    documents = corpus(12)
    fill(backend.url, documents)
    with move(backend.url, backend.url) as migration:
        report = migration.run()
        assert report.is_complete, report
        assert (report.totals.records, report.ingest.chunks) == (24, 24)
        again = migration.run()
        assert again.is_complete
        assert (again.ingest.documents, again.ingest.unchanged) == (0, 12)
        (hit,) = migration.target.search("Sentence 0 of 7, version 1", limit=1)
        assert hit.chunk.document_id == "d0007"
        migration.target.store.close()
    moved = read_all(open_source(backend.url, NEW))
    assert same(moved, clean_vectors(documents, tmp_path / "clean"))


@pytest.mark.parametrize("backend", REACHED_BY_OTHERS, indirect=True)
@pytest.mark.parametrize("direction", ["from", "to"])
def test_everything_is_moved_between_backends(backend: Backend, direction: str, tmp_path: Path) -> None:
    documents = [Document(document.id, document.text, {"n": 1}) for document in corpus(9)]
    folder = f"qdrant:{tmp_path / 'other'}"
    source, target = (backend.url, folder) if direction == "from" else (folder, backend.url)
    fill(source, documents)
    with move(source, target) as migration:
        assert migration.run().is_complete
        hits = migration.target.search("Sentence 1 of 4, version 1", limit=1, filter={"n": 1})
        assert hits[0].chunk.document_id == "d0004"
    assert same(read_all(open_source(target, NEW)), clean_vectors(documents, tmp_path / "clean"))


def test_what_changed_is_replaced_and_what_went_is_deleted(url: str, tmp_path: Path) -> None:
    fill(url, corpus(9))
    with move(url, url) as migration:
        migration.run()
    changed = [*corpus(4), *corpus(9, version=2)[5:], Document("new", "A new one. In two parts.")]
    fill(url, changed)
    with move(url, url) as migration:
        report = migration.run()
        assert (report.ingest.documents, report.ingest.unchanged, report.ingest.pruned) == (5, 4, 1)
    assert same(read_all(open_source(url, NEW)), clean_vectors(changed, tmp_path / "clean"))


def test_ids_texts_metadata_and_places_are_carried(url: str) -> None:
    fill(url, [Document("a", "One here. Two there.", {"lang": "en", "tags": ["x"]})])
    with move(url, url) as migration:
        migration.run()
    old, new = (open_source(url, name) for name in (OLD, NEW))
    try:
        before, after = list(old.records(vectors=False)), list(new.records(vectors=False))
    finally:
        old.close()
        new.close()
    assert before == after
    assert before[0].metadata == {"lang": "en", "tags": ["x"]}


def test_another_model_task_or_size_is_refused_on_resume(url: str) -> None:
    fill(url, corpus(3))
    with move(url, url) as migration:
        migration.run()
    with pytest.raises(ContractMismatch, match="fingerprint"), move(url, url, FakeEncoder(model_id="another")):
        pass
    with pytest.raises(StoreError, match="dimensions: begun with 16, now 24"), move(url, url, dimensions=24):
        pass


def test_the_same_collection_on_both_sides_is_refused(url: str) -> None:
    fill(url, corpus(1))
    from dataclasses import replace

    from jina_v3_connectors.migration.opening import Sides, check_sides

    from .moving import settings

    spec = replace(settings(url, url), target_collection=OLD)
    with pytest.raises(InvalidInput, match="the old and the new collection are both 'docs'"):
        check_sides(Sides(url, url), spec)


class Failing(FakeEncoder):
    """Refuses after some texts, as a server does that has gone, or no longer takes the key."""

    left = 4

    def encode(self, texts: Any, **settings: Any) -> Any:
        return self._counted(super().encode, texts, **settings)

    def encode_documents(self, texts: Any, *arguments: Any, **settings: Any) -> Any:
        return self._counted(super().encode_documents, texts, *arguments, **settings)

    def _counted(self, encode: Any, texts: Any, *arguments: Any, **settings: Any) -> Any:
        self.left -= len(texts)
        if self.left < 0:
            raise RemoteError("http://127.0.0.1:1 answers 401: no such key")
        return encode(texts, *arguments, **settings)


def test_an_outage_is_an_error_and_the_next_run_encodes_what_is_missing(url: str) -> None:
    """The rival says "complete", and later runs skip these rows for good."""
    fill(url, corpus(30))
    with move(url, url, Failing()) as migration:
        with pytest.raises(RemoteError, match="401"):
            migration.run()
        missing = list(migration.missing())
        assert 0 < len(missing) < 30
    with move(url, url) as migration:
        report = migration.run()
        assert report.is_complete
        assert report.ingest.documents == len(missing)


class Gone(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("rechunk", [None, 8], ids=["kept", "rechunked"])
@pytest.mark.parametrize("backend", REACHED_BY_OTHERS, indirect=True)
def test_a_document_that_is_half_there_is_missing(backend: Backend, rechunk: int | None, tmp_path: Path) -> None:
    """Its first version, and a change of all its chunks, of which the collection then holds old and new ones."""
    source = f"qdrant:{tmp_path / 'other'}"

    def stop_halfway(store: Any) -> None:
        upsert = store.upsert

        def one_chunk(chunks: Any, vectors: Any, layout: Any) -> None:
            upsert(chunks[:1], vectors[:1], layout)
            raise Gone("killed after one chunk")

        store.upsert = one_chunk

    for version in (1, 2):
        text = " ".join(f"Sentence {part}, version {version}." for part in range(6))
        fill(source, [Document("long", text)])
        with move(source, backend.url, rechunk_tokens=rechunk) as migration:
            stop_halfway(migration.target.store)
            with pytest.raises(Gone, match="killed after one chunk"):
                migration.run()
        with move(source, backend.url, rechunk_tokens=rechunk) as migration:
            assert list(migration.missing()) == ["long"]
            assert "1 documents are missing" in readiness(migration).problems[0]
            report = migration.run()
            assert report.is_complete, report
            assert not list(migration.missing())
            assert migration.target.count() > 1
            assert all(f"version {version}" in str(stored) for stored, _ in read_texts(migration))


def test_texts_that_are_not_there_are_named(url: str) -> None:
    fill(url, corpus(2))
    with old_collection(url) as old:
        from jina_v3_connectors.documents import Chunk

        vectors = np.eye(1, 32, dtype=np.float32)
        assert old.stored is not None
        old.store.upsert([Chunk("empty", 0, 0, 0, "")], vectors, old.stored.layout)
    with move(url, url) as migration:
        with pytest.raises(DocumentError, match="document 'empty': no text is stored"):
            migration.run()
        report = migration.run(skip_bad=True)
        assert not report.is_complete
        assert report.missing == ["empty"]
        problems = readiness(migration).problems
        assert problems[0].startswith("1 documents are missing in the new collection")
        assert not readiness(migration, accept_missing=1).problems


def damage(migration: Any, vectors: np.ndarray) -> None:
    """Put other vectors in the place of the first ones."""
    target = migration.target
    assert target.stored is not None
    source = migration.target_records()
    try:
        records = list(source.records(vectors=False))[: len(vectors)]
    finally:
        source.close()
    from jina_v3_connectors.documents import Chunk

    chunks = [Chunk(r.document_id, r.order, r.start, r.end, r.text, r.metadata) for r in records]
    target.store.upsert(chunks, vectors, target.stored.layout)


@pytest.mark.parametrize("fault", ["identical", "foreign"])
def test_wrong_vectors_block_the_switch(url: str, fault: str) -> None:
    fill(url, corpus(6))
    with move(url, url) as migration:
        assert migration.run().is_complete
        wrong = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
        if fault == "identical":
            wrong[:] = wrong[0]
        damage(migration, wrong / np.linalg.norm(wrong, axis=1, keepdims=True))
        ready = readiness(migration, sample=0)
        assert ready.verification.wrong_count == 8
        assert "8 of 12 compared chunks are wrong" in ready.problems[0]
        with pytest.raises(StoreError, match="not safe to switch, nothing was changed"):
            switch(migration, "live", store_opener(url), sample=0)


@pytest.mark.parametrize("backend", SAME_PLACE, indirect=True)
def test_switch_and_rollback_move_the_name(backend: Backend) -> None:
    fill(backend.url, corpus(6))
    with old_collection(backend.url) as old:
        old.swap_alias("live")
    opener = store_opener(backend.url)

    def size() -> int:
        with name_reader(backend.url, "live") as read:
            stored = read()
        assert stored is not None
        return stored.contract.dimensions

    with move(backend.url, backend.url) as migration:
        with pytest.raises(StoreError, match="nothing was moved yet"):
            switch(migration, "live", opener)
        migration.run()
        assert size() == 32
        switch(migration, "live", opener)
        assert size() == 16
        progress = migration.state.progress()
        assert progress is not None
        assert (progress.alias, progress.previous, progress.stage) == ("live", OLD, "switched")
        assert rollback(migration.state, opener) == ("live", OLD)
        assert size() == 32


@pytest.mark.parametrize("backend", ["documents"], indirect=True)
def test_a_switch_in_pinecone_says_what_to_change(backend: Backend, url: str) -> None:
    fill(url, corpus(3))
    with move(url, backend.url) as migration:
        migration.run()
        with pytest.raises(StoreError, match=r"name the index 'docs' \(namespace 'docs_new'\) in place of the old one"):
            switch(migration, "live", store_opener(backend.url))
        assert not is_switched(migration)
        with pytest.raises(StoreError, match="has switched nothing"):
            rollback(migration.state, store_opener(backend.url))


def test_writes_during_a_move_reach_both(url: str, tmp_path: Path) -> None:
    fill(url, corpus(6))
    with old_collection(url) as old, move(url, url, beside=old.store) as migration:
        both = MigratingConnector(old, migration)
        both.ingest([Document("before", "Before the run.")])
        migration.run()
        both.ingest([Document("d0001", "Changed after it."), Document("after", "After the run. Twice.")])
        both.delete(["d0002", "before"])
        assert migration.waiting() == 0
        assert {document for document, _ in migration.target.ids()} == {
            "after",
            "d0000",
            "d0001",
            "d0003",
            "d0004",
            "d0005",
        }
        report = migration.run()
        assert report.is_complete
        assert report.ingest.documents == 0
        (hit,) = migration.target.search("Changed after it", limit=1)
        assert hit.chunk.text == "Changed after it."


def read_texts(migration: Migration) -> set[tuple[str | None, str | None]]:
    source = migration.target_records()
    try:
        return {(record.text, record.document_id) for record in source.records(vectors=False)}
    finally:
        source.close()


def test_a_write_while_a_run_is_under_way_waits_for_it(url: str) -> None:
    """The old collection has it at once, and the run brings it over."""
    fill(url, corpus(6))
    with old_collection(url) as old, move(url, url, beside=old.store) as migration:
        both = MigratingConnector(old, migration)
        written: list[int] = []

        def write_meanwhile(report: Any, totals: Any) -> None:
            if not written:
                written.append(1)
                both.ingest([Document("d0003", "Changed during the run."), Document("late", "A late one.")])

        report = migration.run(on_progress=write_meanwhile)
        assert report.followed == 2
        assert report.is_complete
        texts = {text for text, _ in read_texts(migration) if "during" in str(text) or "late" in str(text)}
        assert texts == {"Changed during the run.", "A late one."}
        assert ("Sentence 0 of 3, version 1.", "d0003") not in read_texts(migration)


def test_a_note_of_a_writer_that_lives_stays(url: str) -> None:
    from jina_v3_connectors.migration.changes import Writer

    fill(url, corpus(2))
    with move(url, url) as migration:
        migration.run()
        writer = Writer(migration.state)
        migration.state.note(["d0001"], writer.name)
        migration.follow()
        assert migration.waiting() == 1
        writer.close()
        migration.follow()
        assert migration.waiting() == 0


def test_searches_follow_the_name(url: str) -> None:
    fill(url, corpus(6))
    with old_collection(url) as old, move(url, url, beside=old.store) as migration, name_reader(url, "live") as name:
        old.swap_alias("live")
        both = MigratingConnector(old, migration, name)
        migration.run()
        assert both.live is old
        switch(migration, "live", store_opener(url))
        assert both.live is migration.target
        assert both.live.search("Sentence 0 of 5", limit=1)[0].chunk.document_id == "d0005"
        rollback(migration.state, store_opener(url))
        assert both.live is old


def test_one_run_at_a_time(url: str) -> None:
    from jina_v3_encoder.retry import RetryPolicy

    fill(url, corpus(2))
    with (
        move(url, url) as migration,
        migration.alone(RetryPolicy(total=1)),
        pytest.raises(StoreError, match="is being run by another process"),
    ):
        migration.run(retry=RetryPolicy(total=0.1))


def test_a_model_that_fails_at_the_switch_changes_nothing(url: str) -> None:
    """The rival holds a lock meanwhile, and stops all writes for 35 s."""
    fill(url, corpus(6))
    with old_collection(url) as old:
        old.swap_alias("live")
    with move(url, url) as migration:
        migration.run()
    failing = Failing()
    failing.left = 0
    with move(url, url, failing) as migration:
        with pytest.raises(RemoteError, match="401"):
            switch(migration, "live", store_opener(url))
        assert not is_switched(migration)
    with name_reader(url, "live") as read:
        stored = read()
    assert stored is not None
    assert stored.contract.dimensions == 32


def test_a_size_that_the_model_does_not_have_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    fill(url, corpus(2))
    with pytest.raises(InvalidInput, match="2000"), move(url, url, dimensions=2000):
        pass
    assert not (tmp_path / "store" / NEW).exists()


def test_a_text_past_the_limit_is_named_and_never_cut(url: str, tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"
    rows = [{"id": "long", "text": "word " * 9000 + "end."}, {"id": "short", "text": "A short one."}]
    export.write_text("\n".join(map(json.dumps, rows)))
    with move(str(export), url, late_chunking=None) as migration:
        with pytest.raises(DocumentError, match=r"document 'long': its chunk 0 has [\d,]+ tokens .*--rechunk"):
            migration.run()
        report = migration.run(skip_bad=True)
        assert report.missing == ["long"]
        assert report.ingest.skipped == 1


def test_a_move_from_python(url: str) -> None:
    fill(url, corpus(4))
    with (
        old_collection(url) as old,
        open_migration(url, OLD, url, NEW, FakeEncoder(), MoveSettings(dimensions=16), beside=old.store) as migration,
    ):
        assert migration.run().is_complete
        MigratingConnector(old, migration).ingest([Document("x", "One more.")])
        assert migration.target.count() == old.count()


def test_other_names_of_collections_are_refused(url: str) -> None:
    """A rollback would go to the new collection, and a drop would delete it."""
    fill(url, corpus(2))
    with old_collection(url) as old:
        old.swap_alias("live")
    with (
        pytest.raises(InvalidInput, match="'live' is an alias of the collection 'docs'"),
        open_migration(url, "live", url, NEW, FakeEncoder()),
    ):
        pass


def test_a_collection_that_somebody_else_filled_is_refused(url: str) -> None:
    fill(url, corpus(2))
    with open_store(url, FakeEncoder(), NEW, dimensions=16, late_chunking=True, chunker=Sentences()) as other:
        other.ingest([Document("precious", "Not ours. Keep it.")])
    with move(url, url) as migration, pytest.raises(StoreError, match="holds 2 chunks that this migration did not put"):
        migration.run()


def test_most_of_a_collection_is_not_deleted_without_a_word(url: str) -> None:
    fill(url, corpus(150))
    with move(url, url) as migration:
        migration.run()
    fill(url, corpus(2))
    with move(url, url) as migration:
        with pytest.raises(StoreError, match="more than half of it would be deleted"):
            migration.run()
        assert migration.run(allow_shrinking=True).is_complete


def test_a_run_after_a_switch_keeps_it(url: str) -> None:
    fill(url, corpus(2))
    with old_collection(url) as old:
        old.swap_alias("live")
    with move(url, url) as migration:
        migration.run()
        switch(migration, "live", store_opener(url))
        migration.run()
        assert is_switched(migration)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://u:secret@host/db", "postgresql://***@host/db"),
        ("postgresql://host/db?user=u&password=secret", None),
        ("postgresql://postgres@/db?host=/run/pg&port=5432", "postgresql://postgres@/db?host=/run/pg&port=5432"),
        ("qdrant+http://h:6333?api_key=secret", None),
        ("postgresql://u:p#secret@host/db", None),
        ("qdrant:./folder", "qdrant:./folder"),
        ("/tmp/export.jsonl", "/tmp/export.jsonl"),
    ],
)
def test_no_password_is_kept(url: str, kept: str | None) -> None:
    assert "secret" not in without_password(url)
    if kept is not None:
        assert without_password(url) == kept


def test_after_a_rollback_another_name_may_be_switched(url: str) -> None:
    fill(url, corpus(2))
    with old_collection(url) as old:
        old.swap_alias("live")
        old.swap_alias("other")
    with move(url, url) as migration:
        migration.run()
        switch(migration, "live", store_opener(url))
        with pytest.raises(StoreError, match="has switched 'live' before: roll that back first"):
            switch(migration, "other", store_opener(url))
        rollback(migration.state, store_opener(url))
        switch(migration, "other", store_opener(url))
        assert rollback(migration.state, store_opener(url)) == ("other", OLD)
