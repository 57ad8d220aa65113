"""New vectors in a second column of an application's table, while the application writes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.migration.in_place import begun_in_place
from jina_v3_connectors.migration.opening import (
    Sides,
    open_migration,
    opened_migration,
    spec_of,
    store_opener,
    trigger_notes,
)
from jina_v3_connectors.migration.spec import MigrationSpec, MoveSettings
from jina_v3_connectors.migration.switching import readiness, rollback, switch
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import shared_postgres
from .test_commands import run

TABLE = (
    "CREATE TABLE articles (id bigserial PRIMARY KEY, body text, touched int DEFAULT 0, embedding vector(8) NOT NULL)"
)
INSERT = (
    "INSERT INTO articles (body, embedding) "
    "SELECT 'Article number ' || n, '[1,2,3,4,5,6,7,8]' FROM generate_series({}) n"
)
SIZE = 16


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    with shared_postgres().database() as url:
        sql(url, "CREATE EXTENSION vector", TABLE, INSERT.format("1, 50"))
        yield url


def sql(url: str, *statements: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def spec_in_place(url: str, **options: Any) -> MigrationSpec:
    sides = Sides(url, url)
    settings = MoveSettings(dimensions=SIZE, **options)
    return begun_in_place(url, spec_of(sides, "articles", "articles.fresh", settings=settings, in_place=True))


def opened(url: str, encoder: Any = None) -> Any:
    sides, spec = Sides(url, url), spec_in_place(url)
    notes = trigger_notes(sides, spec, "move", install=True)
    return opened_migration(sides, spec, "move", encoder or FakeEncoder(), Path, notes=notes)


def wrong_rows(url: str, column: str = "fresh") -> list[int]:
    """Rows whose new vector is not that of their text."""
    rows = sql(url, f"SELECT id, body, {column}::text FROM articles WHERE body <> '' ORDER BY id")
    vectors = FakeEncoder().encode([body for _, body, _ in rows], task="retrieval.passage", dimensions=SIZE)
    return [
        key
        for (key, _, stored), vector in zip(rows, vectors, strict=True)
        if stored is None or not np.allclose(json.loads(stored), vector, atol=1e-5)
    ]


def columns(url: str) -> set[str]:
    statement = (
        "SELECT attname FROM pg_attribute WHERE attrelid = 'articles'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    return {name for (name,) in sql(url, statement)}


def test_a_column_is_filled_beside_the_old_one(database: str) -> None:
    before = sql(database, "SELECT id, body, touched, embedding::text FROM articles ORDER BY id")
    with opened(database) as migration:
        report = migration.run(sample=0)
        assert report.is_complete
        assert (report.ingest.documents, report.verification.chunks, report.followed) == (50, 50, 0)
        assert migration.run().ingest.documents == 0
    assert wrong_rows(database) == []
    assert sql(database, "SELECT id, body, touched, embedding::text FROM articles ORDER BY id") == before


def test_what_an_application_writes_meanwhile_is_followed(database: str) -> None:
    with opened(database) as migration:
        migration.run()
        sql(
            database,
            "UPDATE articles SET body = 'Changed' WHERE id IN (3, 4)",
            "DELETE FROM articles WHERE id = 5",
            INSERT.format("90, 91"),
            "UPDATE articles SET touched = touched + 1",
            "WITH gone AS (DELETE FROM articles WHERE id = 7 RETURNING *) "
            "INSERT INTO articles (id, body, embedding) SELECT id, body, embedding FROM gone",
        )
        assert wrong_rows(database) == [3, 4, 7, 51, 52]
        report = migration.follow()
        assert report.waiting == 0
        assert migration.run(sample=0).is_complete
    assert wrong_rows(database) == []


def test_a_row_whose_change_waits_is_not_missing(database: str) -> None:
    """An application may delete rows all the time: a run would never be complete."""
    with opened(database) as migration:
        migration.run()
        sql(database, "DELETE FROM articles WHERE id = 5")
        assert (list(migration.missing()), migration.waiting()) == ([], 1)
        sql(database, "UPDATE articles SET fresh = NULL WHERE id = 6")
        assert (list(migration.missing()), migration.waiting()) == ([], 2)
        (notes,) = trigger_notes(Sides(database, database), migration.spec, "move")
        notes.drop(range(1, 1000))
        assert list(migration.missing()) == ["6"], "a row that is gone took its vectors with it"


def test_a_switch_renames_and_a_rollback_renames_back(database: str) -> None:
    old = sql(database, "SELECT embedding::text FROM articles ORDER BY id")
    with opened(database) as migration:
        assert readiness(migration).problems == ["nothing was moved yet: run it first"]
        migration.run()
        opener = store_opener(database, migration.spec)
        assert switch(migration, "embedding", opener).no_way_back is None
        assert wrong_rows(database, "embedding") == []
        assert sql(database, "SELECT embedding_old::text FROM articles ORDER BY id") == old
        sql(database, "INSERT INTO articles (body, embedding) VALUES ('New', array_fill(0.25, '{16}')::vector)")
        assert rollback(migration.state, opener) == ("embedding", "articles")
        assert sql(database, "SELECT embedding::text FROM articles WHERE id <= 50 ORDER BY id") == old
        assert migration.run(sample=0).is_complete
        switch(migration, "embedding", opener)
        switch(migration, "embedding", opener)
    assert columns(database) == {"id", "body", "touched", "embedding", "embedding_old"}
    assert wrong_rows(database, "embedding") == []


def test_a_view_that_would_go_on_with_the_old_vectors_forbids_a_switch(database: str) -> None:
    with opened(database) as migration:
        migration.run()
        sql(database, "CREATE VIEW searched AS SELECT id, embedding FROM articles")
        with pytest.raises(StoreError, match="is read by searched, and a view keeps its column"):
            switch(migration, "embedding", store_opener(database, migration.spec))
    assert columns(database) == {"id", "body", "touched", "embedding", "fresh"}


@pytest.mark.parametrize("kind", ["vector", "halfvec"])
def test_the_new_column_gets_an_index_where_the_old_one_has_one(database: str, kind: str) -> None:
    sql(
        database,
        f"ALTER TABLE articles ALTER COLUMN embedding TYPE {kind}(8)",
        f"CREATE INDEX ON articles USING hnsw (embedding {kind}_l2_ops)",
    )
    with opened(database) as migration:
        migration.run()
        migration.run()
    (definition,) = sql(database, "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%fresh%'")
    assert "USING hnsw (fresh vector_l2_ops)" in definition[0]


def test_a_column_that_somebody_else_made_is_not_touched(database: str) -> None:
    sql(database, "ALTER TABLE articles ADD COLUMN fresh vector(16)")
    with pytest.raises(StoreError, match="has a column 'fresh' that no move made"), opened(database):
        pass
    assert sql(database, "SELECT count(fresh) FROM articles") == [(0,)]


@pytest.mark.parametrize("option", [{"late_chunking": True}, {"rechunk_tokens": 30}], ids=["late", "rechunk"])
def test_each_row_is_read_alone(database: str, option: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="--in-place gives each row a vector of its own text"):
        spec_in_place(database, **option)


def test_a_key_of_several_columns(database: str) -> None:
    sql(
        database,
        "CREATE TABLE pages (shop int, name text, body text, embedding vector(8), PRIMARY KEY (shop, name))",
        "INSERT INTO pages SELECT n, 'a \"b\" ' || n, 'Page ' || n, NULL FROM generate_series(1, 7) n",
    )
    sides = Sides(database, database)
    spec = begun_in_place(database, spec_of(sides, "pages", "pages.fresh", settings=MoveSettings(SIZE), in_place=True))
    with opened_migration(sides, spec, "pages", FakeEncoder(), Path) as migration:
        assert migration.run(sample=0).is_complete
    assert sql(database, "SELECT count(fresh) FROM pages") == [(7,)]


@pytest.mark.servers
def test_an_application_that_writes_all_the_time(database: str) -> None:
    stop, errors = threading.Event(), []

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    connection.execute("UPDATE articles SET body = %s WHERE id = %s", (f"V{number}", 1 + number % 50))
                    connection.execute(INSERT.format(f"{number}, {number}"))
                    connection.execute("DELETE FROM articles WHERE id = %s", (number // 2,))
                except psycopg.Error as error:
                    errors.append(error)
                time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with opened(database) as migration:
            migration.run()
    finally:
        stop.set()
        writer.join()
    assert not errors
    with opened(database) as migration:
        assert migration.run(sample=0).is_complete
    assert wrong_rows(database) == []


def test_the_journey_on_the_command_line(database: str) -> None:
    table = ("--from", database, "--collection", "articles", "--in-place", "fresh", "--dimensions", "64")
    planned = run("plan", *table)
    assert planned.exit_code == 0, planned.output
    assert "new collection: articles.fresh, nano, 64 dimensions" in planned.stdout
    assert columns(database) == {"id", "body", "touched", "embedding"}
    ran = run("run", *table)
    assert ran.exit_code == 0, ran.output
    assert "moved 50 documents" in ran.stderr
    assert "50 were there already" in run("run", "articles.fresh").stderr
    assert "safe to switch" in run("switch", "--check").stderr
    refused = run("drop", "--which", "old", "--confirm", "embedding_old")
    assert "the column 'embedding' of table 'articles' is what searches read, so it is not dropped: switch first" in (
        refused.stderr
    )
    switched = run("switch", "articles.fresh")
    assert "the column embedding holds the new vectors, embedding_old the old ones" in switched.stderr
    assert "the column embedding holds the old vectors again" in run("rollback").stderr
    assert run("switch").exit_code == 0
    wrong = run("drop", "--which", "old", "--confirm", "articles")
    assert "'articles' is not 'embedding_old': nothing was deleted" in wrong.stderr
    dropped = run("drop", "--which", "old", "--confirm", "embedding_old")
    assert "dropped the column embedding_old of articles" in dropped.stderr
    assert columns(database) == {"id", "body", "touched", "embedding"}
    left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'jina_v3%'"
    assert sql(database, left) == [(0,)]
    again = run("run", *table)
    assert "the column 'embedding' was 'fresh' when an earlier move made it: choose another name" in again.stderr
    assert run("run", *table[:4], "--in-place", "fresher").exit_code == 0


def test_in_place_from_python(database: str) -> None:
    settings = MoveSettings(dimensions=SIZE)
    for _ in range(2):
        with open_migration(
            database, "articles", database, "articles.fresh", FakeEncoder(), settings, in_place=True
        ) as migration:
            assert migration.run().is_complete
    assert wrong_rows(database) == []


def test_in_place_is_for_servers(tmp_path: Path, database: str) -> None:
    folder = run("run", "--from", f"qdrant:{tmp_path}", "--collection", "a", "--in-place", "b")
    assert "--in-place needs a Qdrant server" in folder.stderr
    both = run("run", "--from", database, "--to", database, "--into", "b", "--in-place", "b")
    assert "--in-place goes with --from and --collection, and without --to and --into" in both.stderr
