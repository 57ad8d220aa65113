"""New vectors as a second named vector of a Qdrant collection, ours or another's, while others write."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from jina_v3_connectors import Document
from jina_v3_connectors.backends import open_store
from jina_v3_connectors.errors import ContractMismatch, StoreError
from jina_v3_connectors.ingestion.journal import Journal
from jina_v3_connectors.migration.in_place import begun_in_place, new_vectors
from jina_v3_connectors.migration.live import MigratingConnector
from jina_v3_connectors.migration.migration import Migration
from jina_v3_connectors.migration.opening import Sides, name_reader, opened_migration, spec_of, store_opener
from jina_v3_connectors.migration.records import FieldNames
from jina_v3_connectors.migration.spec import MigrationSpec, MoveSettings
from jina_v3_connectors.migration.state import MigrationState
from jina_v3_connectors.migration.switching import readiness, rollback, switch
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import Sentences
from ..support.stopping import When
from .moving import NEW_SIZE, OLD, clean_vectors, corpus, fill, old_collection, read_all
from .test_commands import run
from .test_kills import KILLED, ended, killed_at

FRESH = "docs.fresh"
TEXTS = [f"Text number {number}." for number in range(12)]
OF_A_RUN: dict[str, type] = {
    "begin": MigrationState,
    "list_records": MigrationState,
    "update_collection": QdrantClient,
    "create_vector_name": QdrantClient,
    "open_encoded": Journal,
    "update_vectors": QdrantClient,
    "record": Journal,
    "delete_vectors": QdrantClient,
    "forget": Journal,
    "reach": MigrationState,
}
"""What a run changes, in about this order."""
OF_A_SWITCH: dict[str, type] = {"point": MigrationState, "update_collection": QdrantClient, "reach": MigrationState}
OF_A_DROP: dict[str, type] = {"delete_vector_name": QdrantClient, "update_collection": QdrantClient}


@contextmanager
def client_of(url: str) -> Iterator[QdrantClient]:
    client = QdrantClient(url=url.removeprefix("qdrant+"), timeout=10, check_compatibility=False)
    try:
        yield client
    finally:
        client.close()


def spec_in_place(url: str, new: str = "fresh", vector: str | None = None, **options: Any) -> MigrationSpec:
    settings = MoveSettings(dimensions=NEW_SIZE, **options)
    return spec_of(Sides(url, url), OLD, f"{OLD}.{new}", FieldNames(vector=vector), settings, in_place=True)


@contextmanager
def opened(url: str, new: str = "fresh", **options: Any) -> Iterator[Migration]:
    spec = spec_in_place(url, new, **options)
    with opened_migration(Sides(url, url), spec, "move", FakeEncoder(), Path) as migration:
        yield migration


@contextmanager
def late(url: str) -> Iterator[Migration]:
    with opened(url, late_chunking=True) as migration:
        yield migration


def moved(url: str) -> dict[str, list[float]]:
    """The new vectors by point id."""
    return read_all(new_vectors(url, spec_in_place(url, vector="dense")))


def assert_as_clean(url: str, documents: list[Document], folder: Path) -> None:
    wanted, got = clean_vectors(documents, folder), moved(url)
    assert got.keys() == wanted.keys()
    assert all(np.allclose(got[key], wanted[key], atol=1e-5) for key in wanted)


def points(url: str, vector: str) -> dict[Any, Any]:
    """Payload and one vector of each point."""
    with client_of(url) as client:
        records, _ = client.scroll(OLD, limit=1000, with_payload=True, with_vectors=[vector])
    return {record.id: (record.payload, record.vector) for record in records}


def names(url: str) -> set[str]:
    with client_of(url) as client:
        vectors = client.get_collection(OLD).config.params.vectors
    assert isinstance(vectors, dict)
    return set(vectors)


def metadata(url: str) -> dict[str, Any]:
    with client_of(url) as client:
        return client.get_collection(OLD).config.metadata or {}


def foreign(url: str, texts: list[str] | None = None, **config: Any) -> None:
    """A collection of an application, with the named vector "old" and numbers as ids."""
    given = TEXTS if texts is None else texts
    with client_of(url) as client:
        vectors = config or {"old": models.VectorParams(size=8, distance=models.Distance.COSINE)}
        client.create_collection(OLD, vectors_config=vectors)
        write(client, dict(enumerate(given)))


def write(client: QdrantClient, texts: dict[int, str]) -> None:
    """As an application that knows nothing of the move."""
    rows = [
        models.PointStruct(id=key, vector={"old": [1.0 + key] * 8}, payload={"text": text})
        for key, text in texts.items()
    ]
    client.upsert(OLD, rows, wait=True)


def wrong_points(url: str) -> list[int]:
    """Points whose new vector is not that of their text."""
    stored = points(url, "fresh")
    wrong = []
    for key, (payload, vectors) in stored.items():
        (wanted,) = FakeEncoder().encode([payload["text"]], task="retrieval.passage", dimensions=NEW_SIZE)
        vector = (vectors or {}).get("fresh")
        if vector is None or not np.allclose(vector, wanted, atol=1e-5):
            wrong.append(key)
    return sorted(wrong)


def test_a_collection_of_ours_is_read_late_in_place(url: str, tmp_path: Path) -> None:
    documents = corpus(8)
    fill(url, documents)
    before = points(url, "dense")
    with late(url) as migration:
        report = migration.run(sample=0)
        assert report.is_complete
        assert (report.ingest.documents, report.ingest.chunks) == (8, 15)
        assert migration.run().ingest.documents == 0
    assert points(url, "dense") == before
    assert_as_clean(url, documents, tmp_path / "clean")


def test_one_request_leads_a_search_to_the_new_vector_and_its_model(url: str) -> None:
    fill(url, corpus(8))
    with late(url) as migration:
        migration.run()
        opener = store_opener(url, migration.spec)
        assert readiness(migration).problems == []
        assert switch(migration, "dense", opener).no_way_back is None
        with open_store(url, FakeEncoder(), OLD) as live:
            assert (live.contract.dimensions, live.contract.late_chunking) == (NEW_SIZE, True)
            (vector,) = live.encoder.encode(["Sentence 0 of 5"], task="retrieval.query", dimensions=NEW_SIZE)[None]
            scores = {key: float(vector[0] @ np.asarray(row)) for key, row in moved(url).items()}
            (best, *_) = live.search("Sentence 0 of 5")
            assert str(best.chunk.id) == max(scores, key=scores.__getitem__)
            assert best.score == pytest.approx(max(scores.values()), abs=1e-5)
        assert rollback(migration.state, opener) == ("dense", OLD)
        with old_collection(url) as old:
            assert old.contract.dimensions == 32
            assert old.search("Sentence 0 of 5")
        switch(migration, "dense", opener)
        switch(migration, "dense", opener)
    with open_store(url, FakeEncoder(), OLD) as live:
        assert live.contract.dimensions == NEW_SIZE


def test_writers_of_ours_go_on_after_a_switch_with_the_new_model_only(url: str) -> None:
    """What the move stored counts: nothing of it is written again, and another machine's journal is refused."""
    fill(url, corpus(4))
    with opened(url) as migration:
        migration.run()
        switch(migration, "dense", store_opener(url, migration.spec))
    with pytest.raises(ContractMismatch, match="32"), old_collection(url):
        pass
    more = [*corpus(4), Document("more", "One more. In two parts.")]
    with open_store(url, FakeEncoder(), OLD, chunker=Sentences()) as live:
        report = live.ingest(more, prune=True)
        assert (report.remarks, report.pruned) == ([], 0)
        assert live.search("One more.")[0].chunk.document_id == "more"
        live.delete(["d0001"])
        assert "d0001" not in {hit.chunk.document_id for hit in live.search("Sentence 0 of 1", limit=50)}
    with open_store(url, FakeEncoder(), OLD, chunker=Sentences()) as live:
        assert live.ingest(more).documents == 1


def test_our_writers_during_a_move(url: str, tmp_path: Path) -> None:
    fill(url, corpus(8))
    with old_collection(url) as old, late(url) as migration:
        both = MigratingConnector(old, migration)
        migration.run()
        both.ingest([*corpus(2, version=2), Document("new", "A new one. In two parts.")])
        both.delete(["d0007"])
        assert migration.waiting() == 0
        assert both.live is old
        with name_reader(url, OLD) as read:
            looking = MigratingConnector(old, migration, read)
            assert looking.live is old
            switch(migration, "dense", store_opener(url, migration.spec))
            assert looking.live is migration.target
            assert looking.live.search("A new one.")[0].chunk.document_id == "new"
    documents = [*corpus(2, version=2), *corpus(7)[2:], Document("new", "A new one. In two parts.")]
    assert_as_clean(url, documents, tmp_path / "clean")


def test_writers_of_ours_who_know_nothing_of_a_move(url: str, tmp_path: Path) -> None:
    """A point that is written anew as a whole loses its new vector, which is how it is noticed."""
    fill(url, corpus(8))
    with late(url) as migration:
        migration.run()
        changed = [*corpus(3, version=2), *corpus(7)[3:], Document("new", "A new one. In two parts.")]
        fill(url, changed)
        assert migration.waiting() > 0
        report = migration.follow()
        assert (report.waiting, report.deleted) == (0, 1)
        assert migration.run(sample=0).ingest.documents == 0
    assert_as_clean(url, changed, tmp_path / "clean")


def test_an_application_s_collection_keeps_ids_and_payloads(url: str) -> None:
    foreign(url)
    before = points(url, "old")
    with opened(url) as migration:
        assert migration.run(sample=0).is_complete
    assert points(url, "old") == before
    assert wrong_points(url) == []


def test_what_an_application_writes_is_noticed_by_the_lack_of_a_vector(url: str) -> None:
    foreign(url)
    with opened(url) as migration, client_of(url) as client:
        migration.run()
        write(client, {3: "Changed.", 4: TEXTS[4], 50: "New."})
        client.delete(OLD, models.PointIdsList(points=[5, 6]))
        assert wrong_points(url) == [3, 4, 50]
        assert (migration.waiting(), list(migration.missing())) == (3, [])
        report = migration.follow()
        assert (report.followed, report.deleted, report.waiting) == (3, 2, 0)
        assert wrong_points(url) == []
        assert readiness(migration, sample=0).problems == []


def test_a_changed_payload_is_seen_by_the_next_run(url: str) -> None:
    """`set_payload` leaves all vectors as they are, so only a reading of all texts shows it."""
    foreign(url)
    with opened(url) as migration, client_of(url) as client:
        migration.run()
        client.set_payload(OLD, {"text": "Changed."}, [3])
        assert migration.waiting() == 0
        assert "its text is not that" not in str(migration.verify(0).wrong)
        assert migration.verify(0).wrong_count == 1
        assert migration.run(sample=0).is_complete
    assert wrong_points(url) == []


def test_a_point_that_cannot_be_moved_is_missing_and_does_not_wait(url: str) -> None:
    foreign(url, [*TEXTS, " "])
    with opened(url) as migration, client_of(url) as client:
        report = migration.run(skip_bad=True)
        assert (report.missing, report.waiting) == (["12"], 0)
        write(client, {60: " "})
        assert migration.waiting() == 1
        assert migration.follow(skip_bad=True).waiting == 0
        assert sorted(migration.missing()) == ["12", "60"]
        assert "2 documents are missing" in readiness(migration).problems[0]


def test_a_point_that_goes_while_it_is_written(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server writes all other points of the request, and then says that one is not there."""
    foreign(url)
    original = QdrantClient.update_vectors

    def update_vectors(self: QdrantClient, *arguments: Any, **options: Any) -> Any:
        self.delete(OLD, models.PointIdsList(points=[5]))
        return original(self, *arguments, **options)

    monkeypatch.setattr(QdrantClient, "update_vectors", update_vectors)
    with opened(url) as migration:
        report = migration.run(sample=0)
        assert (report.is_complete, report.deleted) == (True, 1)
    assert wrong_points(url) == []


def test_an_application_is_told_what_to_change(url: str) -> None:
    foreign(url)
    with opened(url) as migration:
        migration.run()
        with pytest.raises(StoreError, match="let it search with using='fresh' and the new model") as told:
            switch(migration, "old", store_opener(url, migration.spec))
        assert "using='old' and the old model again to go back" in str(told.value)
        assert readiness(migration).no_way_back == str(told.value)
        with pytest.raises(StoreError, match="has switched nothing"):
            rollback(migration.state, store_opener(url, migration.spec))
    with client_of(url) as client:
        (question,) = FakeEncoder().encode([TEXTS[7]], task="retrieval.passage", dimensions=NEW_SIZE)
        assert client.query_points(OLD, question.tolist(), using="fresh", limit=1).points[0].id == 7


def test_llama_index_reads_the_new_vector_by_its_name(url: str) -> None:
    pytest.importorskip("llama_index.vector_stores.qdrant")
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores import VectorStoreQuery
    from llama_index.vector_stores.qdrant import QdrantVectorStore

    with client_of(url) as client:
        size = models.VectorParams(size=2, distance=models.Distance.COSINE)
        client.create_collection(OLD, vectors_config={"text-dense": size})  # as its hybrid stores are made
        theirs = QdrantVectorStore(client=client, collection_name=OLD)
        theirs.add([TextNode(text=text, embedding=[1.0, float(n)]) for n, text in enumerate(TEXTS)])
        old = theirs.dense_vector_name
        with opened(url) as migration:
            assert migration.spec.fields.vector == old
            assert migration.source.description == "LlamaIndex"
            assert migration.run(sample=0).is_complete
        (question,) = FakeEncoder().encode([TEXTS[7]], task="retrieval.passage", dimensions=NEW_SIZE)
        again = QdrantVectorStore(client=client, collection_name=OLD, dense_vector_name="fresh")
        answer = again.query(VectorStoreQuery(query_embedding=question.tolist(), similarity_top_k=1))
    assert [node.get_content() for node in answer.nodes or []] == [TEXTS[7]]


def test_slices_and_words_of_a_collection_of_ours(url: str) -> None:
    """Word weights stay, since they are no model's. Slices belong to the old vector and go with it."""
    from jina_v3_connectors.qdrant import QdrantConnector, QdrantLayout

    layout = QdrantLayout(slices=(8,), hybrid=True)
    with client_of(url) as client:
        with QdrantConnector(FakeEncoder(), OLD, client=client, dimensions=32, layout=layout) as old:
            old.ingest([Document(f"d{n}", text) for n, text in enumerate(TEXTS)])
        with opened(url) as migration:
            migration.run()
            switch(migration, "dense", store_opener(url, migration.spec))
        with QdrantConnector(FakeEncoder(), OLD, client=client) as live:
            assert live.search("number 7", hybrid=True)[0].chunk.document_id == "d7"
            assert live.search("number 7", hybrid="ranks")[0].score <= 1
    assert run("drop", "move", "--which", "old", "--confirm", "dense").exit_code == 0
    assert names(url) == {"fresh"}


def test_a_second_move_starts_from_the_vector_that_is_searched(url: str) -> None:
    fill(url, corpus(4))
    with opened(url) as migration:
        migration.run()
        switch(migration, "dense", store_opener(url, migration.spec))
    assert run("drop", "move", "--which", "old", "--confirm", "dense").exit_code == 0
    with opened(url, new="fresher") as migration:
        assert migration.spec.fields.vector == "fresh"
        assert migration.run().is_complete
        switch(migration, "fresh", store_opener(url, migration.spec))
    with open_store(url, FakeEncoder(), OLD) as live:
        assert live.search("Sentence 0 of 3")
    with pytest.raises(InvalidInput, match="--in-place fresher is the name of the old vector"):
        begun_in_place(url, spec_in_place(url, new="fresher"))


@pytest.mark.parametrize("effect", OF_A_RUN)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed(url: str, effect: str, when: When, tmp_path: Path) -> None:
    fill(url, corpus(8))
    stop = OF_A_RUN[effect], effect, when, 1
    first = ended(run_until, url, stop)
    changed = [*corpus(3), *corpus(8, version=2)[4:], Document("new", "A new one. In two parts.")]
    fill(url, changed)
    second = ended(run_until, url, stop)
    assert KILLED in (first, second)
    run_until(url)
    assert_as_clean(url, changed, tmp_path / "clean")


def run_until(url: str, stop: tuple[type, str, When, int] | None = None) -> None:
    if stop is not None:
        killed_at(*stop)
    with late(url) as migration:
        assert migration.run().is_complete


@pytest.mark.parametrize("effect", OF_A_SWITCH)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_switch_that_is_killed(url: str, effect: str, when: When) -> None:
    """Contract and vector change together, so a search is answered by one of the two all the time."""
    fill(url, corpus(4))
    run_until(url)
    assert ended(switch_until, url, (OF_A_SWITCH[effect], effect, when, 1)) == KILLED
    assert searched_size(url) in (NEW_SIZE, 32)
    switch_until(url)
    assert searched_size(url) == NEW_SIZE
    with late(url) as migration:
        rollback(migration.state, store_opener(url, migration.spec))
    assert searched_size(url) == 32


def switch_until(url: str, stop: tuple[type, str, When, int] | None = None) -> None:
    with late(url) as migration:
        if stop is not None:
            killed_at(*stop)
        switch(migration, "dense", store_opener(url, migration.spec))


def searched_size(url: str) -> int:
    """A search works, with vectors of this size."""
    with open_store(url, FakeEncoder(), OLD) as live:
        assert live.search("Sentence 0 of 1")
        return live.contract.dimensions


@pytest.mark.servers
@pytest.mark.parametrize("effect", OF_A_DROP)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("which", ["old", "new"])
def test_a_drop_that_is_killed(url: str, effect: str, when: When, which: str) -> None:
    fill(url, corpus(4))
    run_until(url)
    if which == "old":
        switch_until(url)
    dropped, left = ("dense", "fresh") if which == "old" else ("fresh", "dense")
    assert ended(drop_until, which, dropped, (OF_A_DROP[effect], effect, when, 1)) == KILLED
    drop_until(which, dropped)
    assert names(url) == {left}
    assert not [key for key, value in metadata(url).items() if key.endswith(f":{dropped}") and value is not None]
    assert searched_size(url) == (NEW_SIZE if which == "old" else 32)


def drop_until(which: str, name: str, stop: tuple[type, str, When, int] | None = None) -> None:
    if stop is not None:
        killed_at(*stop)
    assert run("drop", "move", "--which", which, "--confirm", name).exit_code == 0


def test_the_journey_on_the_command_line(url: str, nano: Encoder, tmp_path: Path) -> None:
    documents = [Document(f"d{n}", f"Text number {n}. It has two sentences.") for n in range(40)]
    with open_store(url, nano, OLD, dimensions=32, chunker=Sentences()) as old:
        old.ingest(documents)
    diagnosed = run("doctor", "--from", url, "--collection", OLD, "--model", "nano")
    assert diagnosed.exit_code == 0, diagnosed.output
    table = ("--from", url, "--collection", OLD, "--in-place", "fresh", "--dimensions", "64", "--late-chunking")
    planned = run("plan", *table)
    assert planned.exit_code == 0, planned.output
    assert "new collection: docs.fresh, nano, 64 dimensions, late chunking" in planned.stdout
    assert names(url) == {"dense"}
    assert ended(killed_run, table) == -signal.SIGKILL
    assert names(url) == {"dense", "fresh"}
    assert "40 documents are missing in the new collection: run it again" in run("switch", "--check").stderr
    ran = run("run", FRESH)
    assert ran.exit_code == 0, ran.output
    assert "complete: the new collection can be compared and switched" in ran.stderr
    assert f"{OLD}.fresh: complete" in run("status").stdout
    questions = tmp_path / "questions.txt"
    questions.write_text("text number 7\ntext number 9\n")
    compared = run("compare", FRESH, "--questions", str(questions))
    assert compared.exit_code == 0, compared.output
    assert "safe to switch" in run("switch", "--check").stderr
    refused = run("drop", "--which", "old", "--confirm", "dense")
    assert "the vector 'dense' of collection 'docs' is what searches read, so it is not dropped: switch first" in (
        refused.stderr
    )
    assert "searches of docs read the vector fresh with its model" in run("switch", FRESH).stderr
    after = run("compare", FRESH, "--questions", str(questions))
    assert after.exit_code == 0, after.output
    assert "searches of docs read the vector dense with its model again" in run("rollback").stderr
    assert run("switch").exit_code == 0
    wrong = run("drop", "--which", "old", "--confirm", "docs")
    assert "'docs' is not 'dense': nothing was deleted" in wrong.stderr
    dropped = run("drop", "--which", "old", "--confirm", "dense")
    assert "dropped the named vector dense of docs" in dropped.stderr
    assert names(url) == {"fresh"}
    with open_store(url, nano, OLD) as live:
        assert live.search("text number 7")


def killed_run(table: tuple[str, ...]) -> None:
    """Killed when the first vectors are written."""
    killed_at(QdrantClient, "update_vectors", "after", 1)
    run("run", *table)
    os._exit(3)
