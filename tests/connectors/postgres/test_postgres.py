"""What only PostgreSQL does: layouts and indexes, names, foreign tables, connections, a server that is killed."""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from jina_v3_connectors import (
    Chunk,
    ContractMissing,
    Document,
    Native,
    RetryPolicy,
    StoreError,
    StoreNotFound,
    VectorConnector,
    WholeDocument,
)
from jina_v3_connectors.backends import open_store, shown_url
from jina_v3_connectors.errors import StoreBusy
from jina_v3_connectors.filters import as_condition
from jina_v3_connectors.postgres import PostgresConnector, PostgresLayout
from jina_v3_connectors.postgres.connections import OneConnection
from jina_v3_connectors.postgres.layout import LONGEST_NAME, restored, storable, table_name
from jina_v3_connectors.postgres.store import PostgresStore
from jina_v3_connectors.store import Store, Stored
from jina_v3_encoder.errors import InvalidInput, MissingExtra
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ...servers.postgres import PostgresServer, postgres_server
from ...support.backends import Postgres, Sentences, backend_named, same_vectors, shared_postgres
from ..test_backends import documents, expected, many

SECRET = "Hunter2"
AT_ONCE = RetryPolicy(first=0.01, longest=0.05, total=60)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Postgres]:
    with backend_named("postgres", tmp_path, None) as named:
        assert isinstance(named, Postgres)
        yield named


def as_role(backend: Postgres, rights: str = "", name: str = "somebody") -> str:
    """The URL of a new user without rights."""
    role = f"{name}_{time.monotonic_ns()}"
    backend.execute(f"CREATE ROLE {role} LOGIN {rights}")
    return backend.url.replace("//postgres@", f"//{role}:{SECRET}@")


@pytest.mark.parametrize("datatype", ["vector", "halfvec"])
def test_the_index_is_built_when_it_pays_and_a_filtered_search_misses_nothing(backend: Postgres, datatype: Any) -> None:
    layout = PostgresLayout(datatype, index_from=500)
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'docs' AND indexdef LIKE '%hnsw%'"
    with backend.connect(layout=layout) as store:
        store.ingest(many(200))
        assert backend.execute(indexes) == [(0,)]
        store.ingest(many(2000))
        assert backend.execute(indexes) == [(1,)]
        store.ingest(many(2000))
        assert backend.execute(indexes) == [(1,)]
        everything = [hit.score for hit in store.search("text", limit=5000)]
        assert len(everything) == 4000
        assert everything == sorted(everything, reverse=True)
        best = store.search("text number 7", limit=10)
        assert backend.execute("SELECT idx_scan > 0 FROM pg_stat_user_indexes WHERE indexrelname = 'docs_dense_idx'")
        assert [hit.score for hit in best] == sorted((hit.score for hit in best), reverse=True)
        for condition in ({"n": {"gte": 1990}}, {"n": 3}, {"not": {"n": {"lt": 1990}}}):
            hits = store.search("text number 7", limit=50, filter=condition)
            assert len(hits) == (2 if condition == {"n": 3} else 20)
        row = FakeEncoder().encode(["x"], task=None, dimensions=32)
        (exact,) = store.store.nearest(row, 4000, None, None, Stored(store.contract, layout))
        assert len(exact) == 4000
    assert same_vectors_of(datatype, backend)


def same_vectors_of(datatype: str, backend: Postgres) -> bool:
    stored, wanted = backend.vectors(), expected(many(2000))
    if datatype == "vector":
        return same_vectors(stored, wanted)
    return stored.keys() == wanted.keys() and all(np.allclose(stored[key], wanted[key], atol=1e-3) for key in stored)


def test_an_index_that_gives_up_is_not_believed(backend: Postgres) -> None:
    """Two chunks among thousands, and a server told to look at few."""
    with backend.connect(layout=PostgresLayout(index_from=1)) as store:
        store.ingest(many(1500))
        backend.execute("ALTER ROLE postgres SET hnsw.max_scan_tuples = 100")
        try:
            with backend.connect() as other:
                hits = other.search("text number 7", limit=5, filter=Native("terms -> 'n#' = '1234'"))
        finally:
            backend.execute("ALTER ROLE postgres RESET hnsw.max_scan_tuples")
        assert {hit.chunk.document_id for hit in hits} == {"d1234"}
        assert len(hits) == 2


@pytest.mark.parametrize("condition", ["chunk < 0 or chunk = 0", psycopg.sql.SQL("chunk < 0 or chunk = 0")], ids=repr)
def test_native_sql_with_an_or_stays_together(backend: Postgres, condition: Any) -> None:
    """Without a shared word, hybrid search is the plain one."""
    with backend.connect(hybrid=True) as store:
        store.ingest(many(20))
        plain = store.search("zzz", limit=20, filter=Native(condition))
        assert len(plain) == 20
        assert store.search("zzz", limit=20, filter=Native(condition), hybrid=True) == plain


@pytest.mark.parametrize(
    ("layout", "dimensions", "message"),
    [
        (PostgresLayout(), 2001, "2,001 dimensions: pgvector indexes 2,000 of a vector at most; .*datatype='halfvec'"),
        (PostgresLayout("halfvec"), 4001, "4,001 dimensions: pgvector indexes 4,000 of a halfvec"),
    ],
)
def test_vectors_that_no_index_takes(backend: Postgres, layout: Any, dimensions: int, message: str) -> None:
    encoder = FakeEncoder(dimensions=5000)
    with backend.connect(encoder=encoder, dimensions=dimensions, layout=layout, late_chunking=False) as store:
        with pytest.raises(StoreError, match=message):
            store.ingest(documents())
        assert store.count() == 0


def test_2001_dimensions_as_halfvec(backend: Postgres) -> None:
    layout = PostgresLayout("halfvec", index_from=1)
    with backend.connect(encoder=FakeEncoder(dimensions=5000), dimensions=2001, layout=layout) as store:
        store.ingest(documents())
        assert len(store.search("cat", limit=3)) == 3


@pytest.mark.parametrize("bad", [{"datatype": "bit"}, {"hybrid": 1}, {"index_from": "x"}, {"datatype": None}], ids=str)
def test_layouts_that_are_none(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"unknown datatype|hybrid must be a bool"):
        PostgresLayout(**bad)


def test_what_is_passed_to_the_connector() -> None:
    both: list[dict[str, Any]] = [{}, {"url": "postgresql://h/d", "client": object()}]
    for options in both:
        with pytest.raises(InvalidInput, match="pass one of url='postgresql"):
            PostgresConnector(FakeEncoder(), "docs", **options)
    neither: list[dict[str, Any]] = [{"url": 5}, {"url": b"postgresql://h/d"}, {"client": object()}, {"client": 5}]
    for options in neither:
        with pytest.raises(
            InvalidInput, match=r"got (int|bytes|object): pass a str as url.*psycopg.Connection or a pool"
        ):
            PostgresConnector(FakeEncoder(), "docs", **options)
    with pytest.raises(InvalidInput, match=r"PostgresLayout\(hybrid=True"):
        PostgresConnector(FakeEncoder(), "docs", url="postgresql://h/d", hybrid=True, layout=PostgresLayout())


def test_the_arguments_of_every_method_are_named_as_in_store() -> None:
    for name in Store.__abstractmethods__ - {"journal_file"}:
        wanted, named = (inspect.signature(getattr(kind, name)).parameters for kind in (Store, PostgresStore))
        assert list(named) == list(wanted), name


def test_a_layout_of_another_version(backend: Postgres) -> None:
    with backend.connect() as store:
        store.create()
    backend.execute("""UPDATE jina_v3_collections SET layout = '{"datatype": "vector", "lists": 100}'""")
    with pytest.raises(StoreError, match=r"collection 'docs' has a layout this version cannot read: .*lists"):
        backend.connect()


@pytest.mark.parametrize("text", ["", "a", "\0", "\x01", "a\0\x01\x010\0", "\x011", "\x010"])
def test_nul_goes_in_and_comes_out(text: str) -> None:
    assert "\0" not in storable(text)
    assert restored(storable(text)) == text


def test_nul_in_metadata(backend: Postgres) -> None:
    text = "One \x01 two \x01 three. \x010 Four \x01."
    metadata = {"a": "x\0y", "b": ["\0", "\x01"], "c": {"d\0": -0.0, "e": 1e300}}
    with backend.connect(hybrid=True) as store:
        store.ingest([Document("x", text, metadata), Document("y", "Other.", {"a": "x\x010y"})])
        hits = store.search("two", limit=9, filter={"a": "x\0y"})
        assert {hit.chunk.document_id for hit in hits} == {"x"}
        assert {hit.chunk.text for hit in hits} == {text[: text.index(".") + 1], text[text.index(".") + 2 :]}
        assert repr(dict(hits[0].chunk.metadata)) == repr(metadata)
        assert store.search("two", hybrid=True)
        assert {hit.chunk.document_id for hit in store.search("two", limit=9, filter={"b": "\0"})} == {"x"}


def test_names_of_tables() -> None:
    long = ["x" * 128, "x" * 127 + "y", "x" * 64]
    assert len({table_name(name) for name in long}) == 3
    assert max(len(table_name(name)) for name in long) <= LONGEST_NAME
    assert table_name("x" * LONGEST_NAME) == "x" * LONGEST_NAME


@pytest.mark.parametrize(
    ("module", "error"),
    [
        ("psycopg", MissingExtra),
        ("pgvector", MissingExtra),
        ("jina_v3_connectors.postgres.errors", ModuleNotFoundError),
    ],
)
def test_only_a_package_that_is_not_installed_is_told_as_missing(
    monkeypatch: pytest.MonkeyPatch, module: str, error: type[Exception]
) -> None:
    store = "jina_v3_connectors.postgres.store"
    importlib.import_module(store)
    monkeypatch.delitem(sys.modules, store)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError) as caught:
        importlib.import_module(store)
    assert caught.type is error


@pytest.mark.parametrize("name", ["a.b-C", "SELECT", "x" * 128, "1st"])
def test_names_that_need_quotes(backend: Postgres, name: str) -> None:
    with backend.connect() as other:
        other.ingest(many(3))
    with backend.connect(name) as store:
        store.ingest(documents())
        assert store.search("a black cat", limit=1)[0].chunk.document_id == "cats"
    with backend.connect(name) as store:
        assert store.count() == 6


def test_the_table_of_contracts_is_no_collection(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest(documents())
    with pytest.raises(ContractMissing, match="does not say which model made its vectors"):
        backend.connect("jina_v3_collections")
    with pytest.raises(StoreError, match="cannot be adopted: its table needs the columns id uuid, document_id text"):
        backend.connect("jina_v3_collections", adopt=True)


def test_a_table_of_somebody_else_is_left_alone(backend: Postgres) -> None:
    backend.execute(
        "CREATE TABLE docs (id uuid PRIMARY KEY, dense text); INSERT INTO docs VALUES (gen_random_uuid(), 'x')"
    )
    with pytest.raises(ContractMissing, match="exists but does not say which model made its vectors"):
        backend.connect()
    with pytest.raises(StoreError, match=r"cannot be adopted: its table needs the columns document_id text.*not null"):
        backend.connect(adopt=True)
    assert backend.execute("SELECT dense FROM docs") == [("x",)]


def test_a_table_that_comes_between_is_left_alone(backend: Postgres) -> None:
    with backend.connect() as store:
        backend.execute("CREATE TABLE docs (mine text)")
        with pytest.raises(ContractMissing, match="does not say which model made its vectors"):
            store.ingest(documents())
    assert backend.execute("SELECT * FROM docs") == []


def test_ids_that_are_not_unique_cannot_be_adopted(backend: Postgres) -> None:
    backend.foreign()
    backend.execute("ALTER TABLE docs DROP CONSTRAINT docs_id_key")
    with pytest.raises(StoreError, match="no unique or exclusion constraint"):
        backend.connect(adopt=True)


def test_records_are_read_before_adopting(backend: Postgres) -> None:
    backend.foreign()
    zeros = ",".join(["1"] * 32)
    backend.execute(
        "INSERT INTO docs VALUES ('00000000-0000-0000-0000-000000000007', 'd', 0, 0, 1, 't', '[1]', '{}', "
        f"'[{zeros}]')"
    )
    with pytest.raises(StoreError, match=r"field 'metadata' holds .*this project keeps a JSON object"):
        backend.connect(adopt=True)


def test_a_dropped_table_is_a_collection_that_is_not_there(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest(documents())
        backend.execute("DROP TABLE docs")
        with pytest.raises(StoreNotFound, match="does not exist yet"):
            store.search("x")
        assert store.ingest(documents()).documents == 3
        assert store.count() == 6


def test_an_alias_of_a_dropped_table_may_become_a_collection(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest(documents())
        store.swap_alias("live")
    backend.execute("DROP TABLE docs")
    with backend.connect("live") as store:
        assert store.ingest(documents()).documents == 3
    with backend.connect("live") as store:
        assert store.count() == 6


def test_several_make_one_collection(backend: Postgres) -> None:
    with ThreadPoolExecutor(8) as threads:
        stores = [backend.connect() for _ in range(8)]
        list(threads.map(VectorConnector.create, stores))
        assert len({store.contract.collection_id for store in stores}) == 1
    for store in stores:
        store.close()


def test_a_collection_that_another_process_makes_between_two_looks(
    backend: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with backend.connect() as store, backend.connect() as other:
        postgres = store.store
        assert isinstance(postgres, PostgresStore)
        begin, begun = postgres._transaction, 0

        def begin_after_the_other() -> Any:
            nonlocal begun
            begun += 1
            if begun == 2:
                other.create()
            return begin()

        monkeypatch.setattr(postgres, "_transaction", begin_after_the_other)
        stored = postgres.read()
        assert stored is not None
        assert stored == other.store.read()


def test_adopting_leaves_a_contract_that_is_there_by_now(backend: Postgres) -> None:
    backend.foreign()
    with backend.connect(adopt=True) as store:
        store.store.adopt(replace(store.contract, collection_id="another"))
        assert store.store.read() == store.stored


def test_an_alias_is_followed_by_those_who_opened_it(backend: Postgres) -> None:
    with backend.connect("first") as first, backend.connect("second") as second:
        first.ingest(many(3))
        second.ingest(many(5))
        first.swap_alias("live")
        with backend.connect("live") as live:
            assert live.count() == 6
            second.swap_alias("live")
            assert live.count() == 10
            live.swap_alias("newest")
        with backend.connect("newest") as newest:
            assert newest.count() == 10
        backend.execute("CREATE TABLE taken ()")
        for name in ("first", "taken"):
            with pytest.raises(StoreError, match=f"'{name}' is a table, so it cannot be an alias: choose another name"):
                second.swap_alias(name)


def test_without_the_extension_it_says_how(backend: Postgres) -> None:
    with open_store(as_role(backend), FakeEncoder(), "docs", chunker=WholeDocument()) as store:
        with pytest.raises(
            StoreError, match=r"permission denied to create extension.*CREATE EXTENSION vector once"
        ) as told:
            store.ingest(documents())
        assert SECRET not in "".join(traceback.format_exception(told.value))
        backend.execute("CREATE EXTENSION vector")
        with pytest.raises(StoreError, match="permission denied for schema public; connect as a user who may do this"):
            store.ingest(documents())


def test_a_user_with_a_schema_of_its_own(backend: Postgres) -> None:
    url = as_role(backend)
    role = url.partition("//")[2].partition(":")[0]
    backend.execute(f"CREATE EXTENSION vector; CREATE SCHEMA mine AUTHORIZATION {role}")
    url += "&options=-csearch_path%3Dmine,public"
    with open_store(url, FakeEncoder(), "docs", chunker=WholeDocument()) as store:
        store.ingest(documents())
        assert len(store.search("cat")) == 3
    assert backend.execute("SELECT count(*) FROM mine.docs") == [(3,)]


def test_read_only(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest(documents())
    with open_store(f"{backend.url}&options=-cdefault_transaction_read_only%3Don", FakeEncoder(), "docs") as store:
        assert store.search("cat")
        with pytest.raises(StoreError, match=r"read-only transaction; .*connect to the primary one"):
            store.delete(["cats"])


def test_a_statement_that_takes_too_long(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest(documents())
    with open_store(f"{backend.url}&options=-cstatement_timeout%3D200", FakeEncoder(), "docs") as store:
        start = time.monotonic()
        with pytest.raises(StoreError, match=r"due to statement timeout; raise statement_timeout"):
            store.search("cat", filter=Native("pg_sleep(1) IS NOT NULL"))
        assert time.monotonic() - start < 20


@pytest.mark.parametrize("rights", ["CONNECTION LIMIT 0"])
def test_too_many_connections_are_waited_for(backend: Postgres, rights: str) -> None:
    with pytest.raises(StoreError, match=r"gave up after .* tries .*too many connections for role"):
        open_store(as_role(backend, rights), FakeEncoder(), "docs")


def test_log_ins_that_are_refused(backend: Postgres) -> None:
    for url in (
        backend.url.replace("//postgres@", f"//nobody:{SECRET}@"),
        backend.url.replace("//postgres@", f"//u:{SECRET}@").replace("/db_", "/absent_"),
    ):
        with pytest.raises(
            StoreError, match=r"FATAL: .* does not exist; user, password and database stand in"
        ) as caught:
            open_store(url, FakeEncoder(), "docs")
        assert not isinstance(caught.value, StoreBusy)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@127.0.0.1:9/d",
        f"postgresql://127.0.0.1:9/d?user=u&password={SECRET}",
        f"postgresql://u:{SECRET}@h:x/d",
        f"postgresql://u:{SECRET}/@h/d",
        f"postgresql://u@127.0.0.1:9/d?sslpassword={SECRET}&unknown=1",
        f"postgres://u:{SECRET}@127.0.0.1:9/d?connect_timeout=1",
        f"postgresql://u:%zz{SECRET}@h/d",
        f"postgresql:u:{SECRET}@h",
    ],
)
def test_no_error_tells_a_password(url: str) -> None:
    start = time.monotonic()
    with pytest.raises((StoreError, InvalidInput)) as caught:
        open_store(url, FakeEncoder(), "docs")
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + shown_url(url)
    assert time.monotonic() - start < 10, "a server that is not there is not waited for"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pw@127.0.0.1:54329x/mine",
        "postgresql://127.0.0.1/mine?port=0",
        "postgresql://127.0.0.1:1,127.0.0.1:70000/mine",
        f"postgresql://me:12/{SECRET}@127.0.0.1:9/mine",
        f"postgresql://me:{SECRET}/x@127.0.0.1:9/mine",
        f"postgresql://me:x@{SECRET}@127.0.0.1:9/mine",
        f"postgresql://me:x/{SECRET}?{SECRET}=1@127.0.0.1:9/mine",
    ],
)
def test_what_is_no_address_is_told_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client took parts of a password for a host, a port and a database, and was asked again for ten seconds."""
    monkeypatch.setattr("psycopg.connect", lambda *_, **__: pytest.fail("nobody is asked"))
    words = r"'postgresql://\*\*\*' is no address of a database: write it as .*, the port a number .* characters as %xx"
    with pytest.raises(InvalidInput, match=words) as caught:
        open_store(url, FakeEncoder(), "docs")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("postgresql://me@absent.invalid/mine", StoreBusy, r"failed to resolve host 'absent.invalid': .* as %xx"),
        ("postgresql://127.0.0.1:9/mine?sslmode=x", StoreError, r"invalid sslmode value: \"x\"; .* as %xx"),
        ("postgres://127.0.0.1:9/mine", StoreBusy, "'docs': .*Connection refused"),
    ],
)
def test_a_server_that_is_not_there_is_asked_once(
    url: str, error: type[StoreError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("no second try"))
    with pytest.raises(StoreError, match=words) as caught:
        open_store(url, FakeEncoder(), "docs")
    assert type(caught.value) is error


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(InvalidInput, match="the client knows no parameter 'optins'; write it as") as caught:
        open_store(f"postgresql://h/mine?sslmode=require&optins={SECRET}", FakeEncoder(), "docs")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        f"host=h passwd={SECRET}",
        f"host=h password={SECRET}",
        f"host=h password={SECRET} nonsense",
        f"h password={SECRET}",
        f"password={SECRET}://h",
        f"postgresql://h/%zz;password={SECRET}",
        "",
    ],
)
def test_only_urls_are_addresses_and_errors_show_their_scheme_alone(url: str) -> None:
    for open_it in (partial(PostgresConnector, FakeEncoder(), "docs", url=url), partial(OneConnection, url)):
        with pytest.raises(InvalidInput, match=r"'(postgresql://)?\*\*\*' is no address of a database") as caught:
            open_it()
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_connections_tell_no_password(backend: Postgres) -> None:
    url = backend.url.replace("//postgres@", f"//postgres:{SECRET}@")
    with open_store(url, FakeEncoder(), "docs", chunker=WholeDocument()) as store:
        store.ingest(documents())
        connections: Any = store.store._connections  # type: ignore[attr-defined]
        assert SECRET not in repr((store, store.store, connections, connections._client))


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_connection_of_the_caller_stays_open(backend: Postgres, autocommit: bool) -> None:
    with psycopg.connect(backend.url, autocommit=autocommit) as client:
        settings: dict[str, Any] = {"client": client, "chunker": Sentences()}
        with PostgresConnector(FakeEncoder(), "docs", **settings) as store:
            store.ingest(documents())
            assert backend.execute("SELECT count(*) FROM docs") == [(6,)], "stored, not only said to be"
        assert client.execute("SELECT count(*) FROM docs").fetchone() == (6,)
        if not autocommit:
            with pytest.raises(StoreError, match=r"inside a transaction.*commit or roll back first"):
                PostgresConnector(FakeEncoder(), "docs", **settings)
    with pytest.raises(StoreError, match="passed as client is closed; pass url="):
        PostgresConnector(FakeEncoder(), "docs", **settings)


def test_a_pool_of_the_caller(backend: Postgres) -> None:
    class Pool:
        opened = 0

        def close_own(self) -> None:
            raise AssertionError("it stays open")

        @contextmanager
        def connection(self) -> Iterator[psycopg.Connection[Any]]:
            self.opened += 1
            with psycopg.connect(backend.url) as connection:
                yield connection

    pool = Pool()
    with PostgresConnector(FakeEncoder(), "docs", client=pool, chunker=Sentences()) as store:
        store.ingest(documents())
        assert store.search("a black cat", limit=1)[0].chunk.document_id == "cats"
    assert pool.opened > 5


def test_a_connection_of_a_url_is_closed_with_the_store(backend: Postgres) -> None:
    with backend.connect() as store:
        connections: Any = store.store._connections  # type: ignore[attr-defined]
        assert not connections._client.closed
    assert connections._client.closed
    store.close()


def test_a_connection_that_broke_is_opened_again(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest(documents())
        for _ in range(3):
            backend.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            assert store.search("a black cat", limit=1)[0].chunk.document_id == "cats"


def test_threads_search_while_one_ingests(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest(documents())
        ended = threading.Event()

        def ask(number: int) -> int:
            asked = 0
            while not ended.is_set() or asked < 3:
                assert len(store.search("a black cat", limit=5)) == 5
                asked += 1
            return asked

        with ThreadPoolExecutor(4) as threads:
            answers = [threads.submit(ask, number) for number in range(4)]
            report = store.ingest(many(300))
            ended.set()
            assert all(answer.result() >= 3 for answer in answers)
        assert report.documents == 300


def test_many_tails_are_deleted_in_one_statement(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest([Document(f"d{n}", "One. Two. Three.") for n in range(400)])
        store.ingest([Document(f"d{n}", "One.") for n in range(400)])
        assert sorted(store.ids()) == sorted((f"d{n}", 0) for n in range(400))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    """One that a test may kill."""
    shared_postgres()
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    running = PostgresServer()
    running.start()
    try:
        yield running
    finally:
        running.close()


def test_the_tests_server_on_another_port() -> None:
    shared_postgres()  # skips where none can run
    with postgres_server(port="54329") as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SHOW port").fetchone() == ("54329",)


def test_a_server_that_is_killed_and_comes_back(server: PostgresServer) -> None:
    """kill -9 of the server, four times in one ingest, and once more before a search."""
    count = 500

    def restart() -> None:
        server.kill()
        server.start()

    def slowly() -> Iterator[Document]:
        for number, document in enumerate(many(count)):
            if number % 100 == 50:
                thread = threading.Thread(target=restart)
                thread.start()
                threads.append(thread)
            time.sleep(0.004)
            yield document

    threads: list[threading.Thread] = []
    settings: dict[str, Any] = {"dimensions": 32, "late_chunking": True, "chunker": Sentences()}
    with PostgresConnector(FakeEncoder(), "docs", url=server.url(), **settings) as store:
        report = store.ingest(slowly(), retry=AT_ONCE)
        for thread in threads:
            thread.join()
        assert (report.documents, len(threads)) == (count, 5)
        restart()
        hits = store.search("text", limit=5000)
        assert {hit.chunk.id for hit in hits} == {Chunk(f"d{n}", c, 0, 0, "").id for n in range(count) for c in (0, 1)}
        assert store.ingest(many(count)).unchanged == count
    backend = Postgres(server.folder, None, server.url())  # type: ignore[arg-type]
    assert same_vectors(backend.vectors(), expected(many(count)))


def test_indexes_answer_filters(backend: Postgres) -> None:
    with backend.connect() as store:
        store.ingest(many(1500))
    from jina_v3_connectors.postgres.filters import where

    condition = as_condition({"n": {"in": [1, 2]}, "document_id": "d1"})
    assert not isinstance(condition, bool)
    with psycopg.connect(backend.url) as connection:
        statement = psycopg.sql.SQL("EXPLAIN SELECT FROM docs WHERE {}").format(where(condition))
        plan = " ".join(line for (line,) in connection.execute(statement))
    assert "Seq Scan" not in plan
