"""An application that writes SQL and knows nothing of us."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.migration.opening import Sides, opened_migration, spec_of, store_opener, trigger_notes
from jina_v3_connectors.migration.spec import MoveSettings
from jina_v3_connectors.migration.switching import readiness, switch
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import shared_postgres

TABLE = "CREATE TABLE articles (id bigserial PRIMARY KEY, body text, views int DEFAULT 0, embedding vector(8))"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    with shared_postgres().database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute(TABLE)
            connection.execute(
                "INSERT INTO articles (body) SELECT 'Article number ' || n FROM generate_series(1, 50) n"
            )
        yield url


def run(url: str, into: str = "moved", follow: bool = False, encoder: Any = None, **options: Any) -> Any:
    with opened(url, into, encoder) as migration:
        return migration.follow() if follow else migration.run(**options)


def opened(url: str, into: str = "moved", encoder: Any = None) -> Any:
    sides = Sides(url, url)
    spec = spec_of(sides, "articles", into, settings=MoveSettings(dimensions=16))
    notes = trigger_notes(sides, spec, into, install=True)
    return opened_migration(sides, spec, into, encoder or FakeEncoder(), _none, notes=notes)


def _none() -> Path:
    raise AssertionError


def differences(url: str, into: str = "moved") -> list[str]:
    """What the new collection has otherwise than the application's table."""
    with psycopg.connect(url) as connection:
        wanted = {str(key): body for key, body in connection.execute("SELECT id, body FROM articles")}
        stored: dict[str, str] = dict(connection.execute(f"SELECT document_id, text FROM {into}").fetchall())
    keys = wanted.keys() | stored.keys()
    return [f"{key}: {wanted.get(key)!r} {stored.get(key)!r}" for key in keys if wanted.get(key) != stored.get(key)]


def sql(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_writes_after_a_run_are_followed(database: str) -> None:
    assert run(database).is_complete
    sql(
        database,
        "UPDATE articles SET body = 'Changed' WHERE id IN (3, 4)",
        "DELETE FROM articles WHERE id = 5",
        "INSERT INTO articles (body) VALUES ('A new one'), ('Another')",
        "UPDATE articles SET id = 1000 WHERE id = 6",
    )
    assert len(differences(database)) == 7
    report = run(database, follow=True)
    assert (report.followed, report.deleted, report.waiting) == (5, 2, 0)
    assert differences(database) == []


def test_writes_that_change_no_text_cost_no_encoding(database: str) -> None:
    run(database)
    sql(database, "UPDATE articles SET embedding = '[1,2,3,4,5,6,7,8]'")
    assert run(database, follow=True).followed == 0


def test_loads_with_triggers_off_and_truncation_are_noted(database: str) -> None:
    run(database)
    sql(database, "BEGIN; SET LOCAL session_replication_role = replica; UPDATE articles SET body = 'Loaded'; COMMIT")
    assert run(database, follow=True).followed == 50
    sql(database, "TRUNCATE articles")
    assert run(database, follow=True).deleted == 50
    assert differences(database) == []


def test_a_renamed_text_column_breaks_no_write(database: str) -> None:
    run(database)
    sql(database, "ALTER TABLE articles RENAME body TO content", "UPDATE articles SET content = 'Still written'")


def test_the_text_that_a_trigger_of_the_application_sets_counts(database: str) -> None:
    sql(
        database,
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.body := upper(NEW.body); RETURN NEW; END $$",
        "CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON articles FOR EACH ROW EXECUTE FUNCTION shout()",
    )
    run(database)
    sql(database, "UPDATE articles SET body = 'quiet' WHERE id = 1")
    run(database, follow=True)
    assert differences(database) == []


def test_many_waiting_changes_forbid_a_switch(database: str) -> None:
    run(database)
    sql(database, "UPDATE articles SET body = 'Late ' || id", "UPDATE articles SET body = 'Later ' || id")
    with opened(database) as migration:
        assert readiness(migration).problems == []
        sql(database, "UPDATE articles SET body = 'Last ' || id WHERE id = 1")
        problem = readiness(migration).problems[0]
    assert problem == "101 changes are not brought over yet, 100 may wait at most: run it again"


def test_a_switch_brings_over_what_was_written_meanwhile(database: str) -> None:
    run(database)
    sql(database, "UPDATE articles SET body = 'Late ' || id", "INSERT INTO articles (body) VALUES ('New')")
    with opened(database) as migration:
        switch(migration, "live", store_opener(database))
    assert differences(database) == []


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
                    connection.execute("INSERT INTO articles (body) VALUES (%s)", (f"New {number}",))
                    connection.execute("DELETE FROM articles WHERE id = %s", (number // 2,))
                except psycopg.Error as error:
                    errors.append(error)
                time.sleep(0.005)

    class Slow(FakeEncoder):
        def encode(self, *arguments: Any, **settings: Any) -> Any:
            time.sleep(0.05)
            return super().encode(*arguments, **settings)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        run(database, encoder=Slow())
    finally:
        stop.set()
        writer.join()
    assert not errors
    run(database, follow=True)
    assert differences(database) == []
    assert run(database).is_complete


def test_nothing_of_ours_is_left_when_triggers_are_removed(database: str) -> None:
    run(database)
    sides = Sides(database, database)
    with opened(database) as migration:
        spec = migration.spec
    (notes,) = trigger_notes(sides, spec, "moved")
    notes.remove()
    with psycopg.connect(database) as connection:
        (left,) = connection.execute(
            "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'jina_v3%') + "
            "(SELECT count(*) FROM pg_proc WHERE proname LIKE 'jina_v3_note%') + "
            "(SELECT count(*) FROM pg_class WHERE relname LIKE 'jina_v3_changes%')"
        ).fetchone() or (None,)
    assert left == 0
    with pytest.raises(StoreError, match="are not there any more, so changes may be missing: run it again"):
        trigger_notes(sides, spec, "moved")


def test_disabled_triggers_are_noticed(database: str) -> None:
    run(database)
    sql(database, "ALTER TABLE articles DISABLE TRIGGER ALL")
    sides = Sides(database, database)
    with opened(database) as migration:
        spec = migration.spec
    sql(database, "ALTER TABLE articles DISABLE TRIGGER ALL")
    with pytest.raises(StoreError, match="are not there any more"):
        trigger_notes(sides, spec, "moved")
    assert run(database).is_complete


def test_another_table_under_the_same_name_touches_no_trigger(database: str) -> None:
    """Its key has another name: writes to the first table would fail."""
    run(database)
    sql(database, "CREATE TABLE others (uuid text PRIMARY KEY, body text, embedding vector(8))")
    sides = Sides(database, database)
    with opened(database) as migration:
        spec = replace(migration.spec, source_collection="others")
    with pytest.raises(StoreError, match="was begun with other settings"):
        trigger_notes(sides, spec, "moved", install=True)
    sql(database, "UPDATE articles SET body = 'Still written' WHERE id = 1")
    assert run(database, follow=True).followed == 1


def test_a_row_that_came_and_went_leaves_no_note(database: str) -> None:
    run(database)
    sql(database, "INSERT INTO articles (id, body) VALUES (900, 'Short')", "DELETE FROM articles WHERE id = 900")
    assert run(database, follow=True).waiting == 0


def test_a_text_that_became_blank_is_missing_and_not_found(database: str) -> None:
    run(database)
    sql(database, "UPDATE articles SET body = '' WHERE id = 7")
    report = run(database, skip_bad=True)
    assert not report.is_complete
    assert report.missing == ["7"]
    with psycopg.connect(database) as connection:
        assert not connection.execute("SELECT 1 FROM moved WHERE document_id = '7'").fetchall()


def test_keys_that_look_different_in_other_sessions(database: str) -> None:
    sql(
        database,
        "CREATE TABLE events (at timestamptz PRIMARY KEY, body text, embedding vector(8))",
        "INSERT INTO events (at, body) VALUES ('2026-01-01 10:00+00', 'First')",
    )
    sides = Sides(database, database)
    with opened(database) as migration:
        spec = replace(migration.spec, source_collection="events", target_collection="events_v3")
    notes = trigger_notes(sides, spec, "events_v3", install=True)
    with opened_migration(sides, spec, "events_v3", FakeEncoder(), _none, notes=notes) as migration:
        migration.run()
        sql(database, "SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; UPDATE events SET body = 'Changed'")
        report = migration.follow()
        assert (report.followed, report.deleted) == (1, 0)
