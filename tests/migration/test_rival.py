"""Ten mistakes of another tool that moves collections. Each is a test; some have a whole file elsewhere.

1. An outage or a refused key that ends as "complete": here, and test_migration (the next run encodes what is missing).
2. A switch to an emptier collection: here.
3. The model changed between two runs: test_migration, tests/cli/test_migrate.
4. A model that fails or is slow at the switch: test_migration, and here.
5. Vectors that are zero, identical, foreign or stale: here.
6. An application's own triggers, loads with triggers off, a renamed text column: test_postgres_changes.
7. Two models of one size in a table, a wrong source model: test_doctor, test_compare.
8. A size that the model does not have: test_migration, and here.
9. Questions encoded as passages, texts cut without a word: test_recipe, test_migration.
10. A full disk: tests/cli/test_migrate (plan), tests/connectors/test_disk (run).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from jina_v3_connectors.documents import Chunk, Document
from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.migration.migration import Migration
from jina_v3_connectors.migration.opening import Sides, opened_migration, spec_of, store_opener, trigger_notes
from jina_v3_connectors.migration.spec import MoveSettings
from jina_v3_connectors.migration.state import known_migrations
from jina_v3_connectors.migration.switching import is_switched, readiness, switch
from jina_v3_connectors.store import shared_journal
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import shared_postgres
from .moving import NEW, corpus, fill, move, old_collection
from .test_commands import run


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"qdrant:{tmp_path / 'store'}"


@pytest.fixture
def closed_door() -> Iterator[str]:
    """A server that takes nobody's key."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_error(401)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_refused_key_is_a_failure_and_nothing_is_begun(url: str, closed_door: str, tmp_path: Path) -> None:
    fill(url, corpus(4))
    sides = ("--from", url, "--collection", "docs", "--to", url, "--into", NEW)
    result = run("run", *sides, "--encoder", closed_door)
    assert result.exit_code == 1
    assert "401" in result.stderr
    assert "complete" not in result.stderr
    assert known_migrations(shared_journal()) == []
    assert not (tmp_path / "store" / NEW).exists()


def test_no_switch_to_an_empty_collection(url: str) -> None:
    """Not even where the number of missing documents is typed: nothing of it can be compared."""
    fill(url, corpus(4))
    with move(url, url) as migration:
        migration.run()
        migration.target.delete([document.id for document in corpus(4)])
        assert readiness(migration).problems[0].startswith("4 documents are missing in the new collection")
        assert readiness(migration, accept_missing=3).problems
        with pytest.raises(StoreError, match="nothing was changed"):
            switch(migration, "live", store_opener(url), accept_missing=4)
        assert not is_switched(migration)


@pytest.mark.parametrize("fault", ["zero", "identical", "foreign", "stale"])
def test_wrong_vectors_block_the_switch(url: str, fault: str) -> None:
    fill(url, corpus(6))
    with move(url, url) as migration:
        assert migration.run().is_complete
        if fault != "stale":
            _damage(migration, fault)
    if fault == "stale":
        with old_collection(url) as old:  # by somebody who notes nothing
            old.ingest([Document("d0002", "Another text. It has as many chunks. Really.")])
    with move(url, url) as migration:
        problems = " ".join(readiness(migration, sample=0).problems)
        assert "compared chunks are wrong" in problems
        with pytest.raises(StoreError, match="not safe to switch, nothing was changed"):
            switch(migration, "live", store_opener(url), sample=0)


def _damage(migration: Migration, fault: str) -> None:
    wrong = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    if fault == "identical":
        wrong[:] = wrong[0]
    if fault == "zero":
        wrong[:] = 0
    source = migration.target_records()
    try:
        records = list(source.records(vectors=False))[:8]
    finally:
        source.close()
    chunks = [
        Chunk(str(r.document_id), int(r.order or 0), int(r.start or 0), int(r.end or 0), str(r.text), dict(r.metadata))
        for r in records
    ]
    assert migration.target.stored is not None
    migration.target.store.upsert(chunks, wrong, migration.target.stored.layout)


class Application(FakeEncoder):
    """While the model computes, an application writes, and waits for no lock."""

    address, written = "", 0

    def encode(self, *arguments: Any, **settings: Any) -> Any:
        if self.address:
            with psycopg.connect(self.address, autocommit=True) as connection:
                connection.execute("SET lock_timeout = '1s'")
                connection.execute("UPDATE articles SET body = body || '.' WHERE id = %s", (1 + self.written % 9,))
            self.written += 1
        return super().encode(*arguments, **settings)


def test_no_lock_is_held_while_the_model_computes_and_a_switch_ends() -> None:
    with shared_postgres().database() as database:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("CREATE TABLE articles (id bigserial PRIMARY KEY, body text, embedding vector(8))")
            connection.execute("INSERT INTO articles (body) SELECT 'Article ' || n FROM generate_series(1, 9) n")
        sides, encoder = Sides(database, database), Application()
        spec = spec_of(sides, "articles", "moved", settings=MoveSettings(dimensions=16))
        notes = trigger_notes(sides, spec, "moved", install=True)
        with opened_migration(sides, spec, "moved", encoder, Path, notes=notes) as migration:
            assert not migration.run().missing
            encoder.address = database
            switch(migration, "live", store_opener(database))
            assert is_switched(migration)
            assert encoder.written
            encoder.address = ""
            assert migration.run().is_complete
            for note in notes:
                note.remove()


def test_a_corrected_size_is_not_blocked_by_a_wrong_one() -> None:
    """The wrong one is refused before a trigger is made, or anything noted."""
    with shared_postgres().database() as database:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("CREATE TABLE articles (id bigserial PRIMARY KEY, body text, embedding vector(8))")
            connection.execute("INSERT INTO articles (body) VALUES ('One.')")
        sides = ("--from", database, "--collection", "articles", "--to", database, "--into", "moved")
        refused = run("run", *sides, "--dimensions", "2000")
        assert refused.exit_code == 1
        assert "2000" in refused.stderr
        assert known_migrations(shared_journal()) == []
        assert "complete: the new collection" in run("run", *sides).stderr


def test_a_wrong_size_in_python_is_refused_first(url: str) -> None:
    from jina_v3_connectors.migration.opening import open_migration

    fill(url, corpus(2))
    settings = MoveSettings(dimensions=2000)
    with pytest.raises(InvalidInput, match="2000"), open_migration(url, "docs", url, NEW, FakeEncoder(), settings):
        pass
    assert known_migrations(shared_journal()) == []
