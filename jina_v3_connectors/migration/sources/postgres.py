"""Tables with a pgvector column and a key, whoever made them. Everything is read in read-only transactions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from jina_v3_encoder.vectors import FloatArray

from ...contract import EmbeddingContract
from ...errors import StoreError, StoreNotFound
from ...postgres.connections import OneConnection, Pool
from ...postgres.errors import store_errors
from ...postgres.layout import restored
from ...postgres.queries import ENTRY
from .reading import PAGE, Row, as_vector, chosen_vector

from psycopg import Cursor, sql  # isort: skip  # postgres.store says what is missing
from psycopg.rows import TupleRow, tuple_row  # isort: skip

USUAL = ("dense", "embedding", "vector")
DENSE = ("vector", "halfvec")
UNREAD = (*DENSE, "sparsevec", "bit", "bit varying", "tsvector")
"""Types of columns that say nothing of a text that could be read."""
LANGCHAIN_TABLE = "langchain_pg_embedding"
LANGCHAIN_COLLECTIONS = "langchain_pg_collection"
LANGCHAIN_COLLECTION = "SELECT uuid FROM langchain_pg_collection WHERE name = %s"
COLUMNS = """
SELECT attname, format_type(atttypid, NULL), atttypmod, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
KEY = """
SELECT array_agg(attname ORDER BY position) FROM (
    SELECT indexrelid, attname, position, indisprimary, bool_and(attnotnull) OVER (PARTITION BY indexrelid) AS whole
    FROM pg_index CROSS JOIN LATERAL unnest(indkey::smallint[]) WITH ORDINALITY AS part(number, position)
    JOIN pg_attribute ON attrelid = indrelid AND attnum = number
    WHERE indrelid = %s::regclass AND indisunique AND indpred IS NULL AND indexprs IS NULL AND position <= indnkeyatts
) AS columns WHERE whole GROUP BY indexrelid, indisprimary ORDER BY indisprimary DESC, indexrelid LIMIT 1
"""
"""The columns of the primary key, else those of another unique index whose columns are never null."""
TEXT_FORMS = """
SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1
"""
"""Keys have one text form, whatever the server's settings are."""
SETTINGS = f"SET TRANSACTION READ ONLY; {TEXT_FORMS}"
QUALIFIED = """
SELECT nspname::text, relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid = %s::regclass
"""
DIMENSIONS = "SELECT vector_dims({vector}) FROM {table} WHERE {vector} IS NOT NULL LIMIT 1"
Rows = Cursor[TupleRow]


class Column(NamedTuple):
    """A column of the table."""

    name: str
    kind: str
    """Without its modifier."""
    size: int
    """The modifier: of a vector its dimensions, or -1."""
    full_kind: str


class Table(NamedTuple):
    """What is read: a table, and a condition that chooses its rows."""

    name: sql.Identifier
    condition: sql.Composable
    contract: EmbeddingContract | None


class PostgresReader:
    """A table in the order of its key. A key of several columns is a JSON list of their values as texts."""

    def __init__(self, connections: Pool, collection: str, vector: str | None, close: Any) -> None:
        """`close` closes the connections.

        Raises:
            StoreNotFound: there is no such collection, alias or table.
            StoreError: it has no key to read it by.
        """
        self.title, self.collection = f"collection {collection!r}", collection
        self._connections, self._close = connections, close
        with self._reading() as cursor:
            self._table = _table(cursor, collection)
            name = self._table.name.as_string()
            columns = [Column(*row) for row in cursor.execute(COLUMNS, (name,)).fetchall()]
            (keys,) = cursor.execute(KEY, (name,)).fetchone() or (None,)
            if not keys:
                raise StoreError(
                    f"{self.title} has no primary key, so its rows cannot be read in an order that stays: add one to "
                    "a copy of it, as in ALTER TABLE … ADD COLUMN id bigserial PRIMARY KEY"
                )
            by_name = {column.name: column for column in columns}
            self._keys = [by_name[key] for key in keys]
            sizes = {column.name: column.size for column in columns if column.kind in DENSE}
            self._vector = chosen_vector(sizes, vector, USUAL, self.title)
            self._columns = [column.name for column in columns if column.kind not in UNREAD]
            self.dimensions = None if self._vector is None else self._size(cursor, sizes[self._vector])

    @property
    def contract(self) -> EmbeddingContract | None:
        return self._table.contract

    def qualified_name(self) -> tuple[str, str]:
        """Schema and name of the table that is read."""
        with self._reading() as cursor:
            return cursor.execute(QUALIFIED, (self._table.name.as_string(),)).fetchall()[0]

    @property
    def keys(self) -> list[Column]:
        """The columns that make up a record's key."""
        return self._keys

    @property
    def vector_column(self) -> str | None:
        """The column of the vectors. None where there is none."""
        return self._vector

    def pages(self, after: str | None, *, vectors: bool) -> Iterator[Sequence[Row]]:
        while True:
            behind = sql.SQL("true") if after is None else self._behind(after)
            rows = self._read(sql.SQL("{} ORDER BY {} LIMIT {}").format(behind, self._key_list, PAGE), (), vectors)
            if not rows:
                return
            yield rows
            after = rows[-1].key

    def rows(self, keys: Sequence[str], *, vectors: bool) -> list[Row]:
        columns = zip(*(self._divided(key) for key in keys), strict=True)
        casts = sql.SQL(", ").join(sql.SQL(f"%s::text[]::{column.full_kind}[]") for column in self._keys)
        among = sql.SQL("({}) IN (SELECT * FROM unnest({}))").format(self._key_list, casts)
        return self._read(among, tuple(map(list, columns)), vectors) if keys else []

    def count(self) -> int:
        with self._reading() as cursor:
            statement = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(self._table.name, self._table.condition)
            return int(cursor.execute(statement).fetchall()[0][0])

    def close(self) -> None:
        self._close()

    @property
    def _key_list(self) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(column.name) for column in self._keys)

    def _read(self, chosen: sql.Composable, values: tuple[Any, ...], vectors: bool) -> list[Row]:
        """Rows as JSON, so that values of every type come as JSON has them."""
        vector = sql.Identifier(self._vector) if vectors and self._vector is not None else sql.SQL("NULL")
        keys = [sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in self._keys]
        fields = sql.SQL(", ").join(map(sql.Identifier, self._columns))
        statement = sql.SQL(
            "SELECT ARRAY[{keys}], {vector}::text, (SELECT row_to_json(fields)::text FROM (SELECT {fields}) AS fields) "
            "FROM {table} WHERE {condition} AND {chosen}"
        ).format(
            keys=sql.SQL(", ").join(keys),
            vector=vector,
            fields=fields,
            table=self._table.name,
            condition=self._table.condition,
            chosen=chosen,
        )
        with self._reading() as cursor:
            rows = cursor.execute(statement, values or None).fetchall()
        return [Row(joined(key), self._fields(fields), _vector(numbers)) for key, numbers, fields in rows]

    def _fields(self, row: str) -> Mapping[str, Any]:
        fields: dict[str, Any] = json.loads(row)
        if self.contract is None:
            return fields
        return fields | {name: restored(fields[name]) for name in ("document_id", "text")}

    def _behind(self, key: str) -> sql.Composable:
        casts = [
            sql.SQL("{}::text::" + column.full_kind).format(sql.Literal(value))
            for column, value in zip(self._keys, self._divided(key), strict=True)
        ]
        return sql.SQL("({}) > ({})").format(self._key_list, sql.SQL(", ").join(casts))

    def _divided(self, key: str) -> list[str]:
        return [key] if len(self._keys) == 1 else json.loads(key)

    def _size(self, cursor: Rows, size: int) -> int | None:
        """Of a column that does not say its dimensions, those of a stored vector."""
        if size > 0 or self._vector is None:
            return size if size > 0 else None
        statement = sql.SQL(DIMENSIONS).format(vector=sql.Identifier(self._vector), table=self._table.name)
        row = cursor.execute(statement).fetchone()
        return None if row is None else int(row[0])

    @contextmanager
    def _reading(self) -> Iterator[Rows]:
        with (
            store_errors(self.collection),
            self._connections.connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute(SETTINGS)
            yield cursor


def postgres_reader(url: str, collection: str, vector: str | None) -> PostgresReader:
    """A reader with a connection of its own."""
    connection = OneConnection(url)
    try:
        return PostgresReader(connection, collection, vector, connection.close)
    except BaseException:
        connection.close()
        raise


def _table(cursor: Rows, collection: str) -> Table:
    """The table that `collection` names: ours, an alias, a table, one of another schema, or LangChain's collection."""
    everything = sql.SQL("true")
    if _is_there(cursor, "jina_v3_collections"):
        row = cursor.execute(sql.SQL(ENTRY).format(settings=sql.SQL("")), (collection,)).fetchone()
        if row is not None:
            return Table(sql.Identifier(row[1]), everything, EmbeddingContract.from_json(row[2], collection))
    schema, _, name = collection.partition(".")
    for parts in ((collection,), (schema, name)):
        if all(parts) and _is_there(cursor, *parts):
            return Table(sql.Identifier(*parts), everything, None)
    if _is_there(cursor, LANGCHAIN_COLLECTIONS):
        row = cursor.execute(LANGCHAIN_COLLECTION, (collection,)).fetchone()
        if row is not None:
            return Table(sql.Identifier(LANGCHAIN_TABLE), sql.SQL("collection_id = {}").format(row[0]), None)
    raise StoreNotFound(f"there is no collection and no table {collection!r}; a table may be named as schema.table")


def _is_there(cursor: Rows, *parts: str) -> bool:
    name = sql.Identifier(*parts).as_string()
    return bool(cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchall()[0][0])


def joined(key: list[str]) -> str:
    """A record's key, of the texts of its columns."""
    return key[0] if len(key) == 1 else json.dumps(key, ensure_ascii=False)


def _vector(numbers: str | None) -> FloatArray | None:
    return None if numbers is None else as_vector(json.loads(numbers))
