"""Triggers on a PostgreSQL table that note which rows others write, so that an application need not know of a move.

A trigger notes keys only, in the transaction of the write itself: a note is there exactly if the write is. It calls no
model, and reads no text, so renaming the text column breaks nothing. It fires in replica mode too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from jina_v3_encoder.errors import MissingExtra

from ..errors import StoreError
from .changes import Noted, documents_of, records_changed
from .records import Source
from .sources.postgres import joined, postgres_reader
from .state import AT_ONCE, MigrationState

try:
    import psycopg
except ImportError:
    raise MissingExtra("psycopg", "postgres") from None

from psycopg import Cursor, sql
from psycopg.rows import TupleRow

from ..postgres.connections import connection_string
from ..postgres.errors import store_errors

LOCK_MILLISECONDS = 100
"""How long making or removing a trigger waits for a lock, at each try. Writers would wait behind it."""
FILLING = "jina_v3.filling"
"""A setting of the transactions in which a move fills a column of the same table. They are not noted."""
KIND = "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)"
ENABLED = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgenabled = 'A'"
MAKE = "CREATE OR REPLACE TRIGGER {{trigger}} {} FOR EACH STATEMENT EXECUTE FUNCTION {{function}}()"
TABLE = """
CREATE TABLE IF NOT EXISTS {queue} (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL)
"""
FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET bytea_output = 'hex' SET extra_float_digits = 1 AS $jina_v3$
BEGIN
    IF current_setting('jina_v3.filling', true) = 'on' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {queue} (key) SELECT {keys} FROM jina_v3_new;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {queue} (key) SELECT {keys} FROM jina_v3_old;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO {queue} (key) SELECT {keys} FROM jina_v3_new UNION SELECT {keys} FROM jina_v3_old;
    ELSE
        INSERT INTO {queue} (key) SELECT {keys} FROM {table};
    END IF;
    RETURN NULL;
END
$jina_v3$
"""
TRIGGERS = {
    "insert": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS jina_v3_new",
    "update": "AFTER UPDATE ON {table} REFERENCING NEW TABLE AS jina_v3_new OLD TABLE AS jina_v3_old",
    "delete": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS jina_v3_old",
    "truncate": "BEFORE TRUNCATE ON {table}",
}


class PostgresNotes:
    """The notes of one table's triggers."""

    def __init__(self, url: str, schema: str, table: str, keys: Sequence[str], token: str) -> None:
        """`keys` are the columns of the key, `token` is the migration's. Nothing is made yet; see `install`."""
        self._url, self._where = url, sql.Identifier(schema, table).as_string()
        self._prefix = f"jina_v3_{token}"
        columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(key)) for key in keys)
        self._names: dict[str, sql.Composable] = {
            "table": sql.Identifier(schema, table),
            "keys": columns if len(keys) == 1 else sql.SQL("to_json(ARRAY[{}])::text").format(columns),
            "queue": sql.Identifier(schema, f"jina_v3_changes_{token}"),
            "function": sql.Identifier(schema, f"jina_v3_note_{token}"),
        }
        self._joins = len(keys) > 1

    def install(self) -> None:
        """Make the triggers, if they are not there.

        Raises:
            StoreBusy: other transactions held the table for too long. Nothing was made.
            StoreError: the user may not make triggers on the table.
        """
        with self._transaction() as cursor:
            (kind,) = cursor.execute(KIND, (self._where,)).fetchone() or ("",)
            if kind != "r":
                raise StoreError(
                    f"{self._where} is no ordinary table, so triggers would miss writes: move it while nobody writes, "
                    "with --no-triggers"
                )
            cursor.execute(sql.SQL(TABLE).format(**self._names))
            cursor.execute(sql.SQL(FUNCTION).format(**self._names))
            there = self._triggers(cursor)
            for event, clause in TRIGGERS.items():
                trigger = f"{self._prefix}_{event}"
                if trigger not in there:
                    names = {**self._names, "trigger": sql.Identifier(trigger)}
                    cursor.execute(sql.SQL(MAKE.format(clause)).format(**names))
                    cursor.execute(sql.SQL("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}").format(**names))

    def are_made(self) -> bool:
        """Whether all triggers are there, and fire always. Others may have removed or disabled them."""
        with self._transaction() as cursor:
            queue = self._names["queue"].as_string(None)
            row = cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (queue,)).fetchone()
            return bool(row and row[0]) and len(self._triggers(cursor)) == len(TRIGGERS)

    def _triggers(self, cursor: Cursor[TupleRow]) -> set[str]:
        """The names of those that fire always."""
        rows = cursor.execute(ENABLED, (self._where,)).fetchall()
        return {name for (name,) in rows if name.startswith(f"{self._prefix}_")}

    def noted(self, source: Source, state: MigrationState) -> Noted:
        rows = self._rows()
        return Noted(records_changed(source, state, [key for _, key in rows]), [number for number, _ in rows])

    def documents(self, source: Source, state: MigrationState) -> set[str]:
        return documents_of(source, state, list({key for _, key in self._rows()}))

    def _rows(self) -> list[tuple[int, str]]:
        """The oldest notes: their numbers, and keys as `Record.key` has them."""
        with self._transaction() as cursor:
            statement = sql.SQL("SELECT number, key FROM {queue} ORDER BY number LIMIT %s").format(**self._names)
            rows = cursor.execute(statement, (AT_ONCE,)).fetchall()
        return [(number, joined(json.loads(key)) if self._joins else key) for number, key in rows]

    def drop(self, numbers: Sequence[int]) -> None:
        with self._transaction() as cursor:
            cursor.execute(
                sql.SQL("DELETE FROM {queue} WHERE number = ANY(%s)").format(**self._names), (list(numbers),)
            )

    def waiting(self) -> int:
        with self._transaction() as cursor:
            row = cursor.execute(sql.SQL("SELECT count(*) FROM {queue}").format(**self._names)).fetchone()
        return int(row[0]) if row else 0

    def remove(self) -> None:
        """Remove triggers, function and notes. It is no error if they are not there.

        Raises:
            StoreBusy, StoreError: as `install`.
        """
        with self._transaction() as cursor:
            (there,) = cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (self._where,)).fetchone() or (False,)
            for event in TRIGGERS if there else ():
                name = sql.Identifier(f"{self._prefix}_{event}")
                cursor.execute(sql.SQL("DROP TRIGGER IF EXISTS {} ON {table}").format(name, **self._names))
            cursor.execute(sql.SQL("DROP FUNCTION IF EXISTS {function}()").format(**self._names))
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {queue}").format(**self._names))

    @contextmanager
    def _transaction(self) -> Iterator[Cursor[TupleRow]]:
        """One transaction on a connection of its own."""
        with (
            store_errors(self._where),
            psycopg.connect(connection_string(self._url)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_MILLISECONDS}ms'")
            yield cursor


def notes_of(url: str, collection: str, token: str, vector: str | None = None) -> PostgresNotes:
    """The notes of a migration, for the table that a collection's name stands for. `vector` is the column to move.

    Raises:
        StoreNotFound: there is no such table.
        StoreError: it has no key.
    """
    with closing(postgres_reader(url, collection, vector)) as reader:
        return PostgresNotes(url, *reader.qualified_name(), [key.name for key in reader.keys], token)
