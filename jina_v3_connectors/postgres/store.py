"""A collection in a table of PostgreSQL. One more table, jina_v3_collections, holds all contracts and aliases."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from jina_v3_encoder.errors import InvalidInput, MissingExtra
from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract, check_vector
from ..documents import Chunk, Hit
from ..errors import ContractMissing, StoreError, StoreNotFound, not_adoptable
from ..filters import Condition
from ..fusion import Words, best_by_scores
from ..keywords import number_term, numbers_of, terms_of
from ..limits import WriteLimits
from ..store import Store, Stored, StoredVector, shared_journal
from ..stored_chunk import CHECKED_BEFORE_ADOPTING, to_hit
from .layout import COLUMNS, PostgresLayout, restored, storable, table_name

try:
    import psycopg  # noqa: F401
    from pgvector import Vector
except ImportError:
    raise MissingExtra("psycopg or pgvector", "postgres") from None

from psycopg import Cursor, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, tuple_row

from . import filters, queries
from .errors import EXTENSION, store_errors

if TYPE_CHECKING:
    from .connections import Pool

PAGE_ROWS = 5000
SAMPLED_ROWS = 20
"""How many times the rows of a sample the blocks that it is taken from should hold."""
MAKING = 0x6A696E61
"""The advisory lock for making a collection or an alias."""
DENSE = re.compile(r"(vector|halfvec)\((\d+)\)")
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
Rows = Cursor[TupleRow]


class Entry(NamedTuple):
    """A collection's row in jina_v3_collections."""

    name: str
    table: sql.Identifier
    contract: str
    layout: PostgresLayout
    writer: str | None


class PostgresStore(Store):
    """A table with a row for each chunk. Each call is one transaction."""

    new_layout: PostgresLayout
    write_limits = WriteLimits(rows=5000, bytes=64 * 2**20)

    def __init__(
        self,
        connections: Pool,
        collection: str,
        layout: PostgresLayout,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """`layout` is that of a new collection; `on_close` is called when the store is closed."""
        self._connections, self.collection, self.new_layout = connections, collection, layout
        self._on_close = on_close
        self._table = sql.Identifier(table_name(collection))

    @property
    def journal_file(self) -> Path:
        return shared_journal()

    def read(self) -> Stored | None:
        entry = self._registered()
        if entry is None:
            with self._transaction() as cursor:
                if not self._table_is_there(cursor):
                    return None
            entry = self._registered()  # another process may have made it in between
        if entry is None:
            raise ContractMissing(self.collection)
        return Stored(EmbeddingContract.from_json(entry.contract, self.collection), entry.layout)

    def writer(self) -> str | None:
        with self._opened() as (_, entry):
            return entry.writer

    def set_writer(self, token: str) -> None:
        with self._opened() as (cursor, entry):
            cursor.execute("UPDATE jina_v3_collections SET writer = %s WHERE name = %s", (token, entry.name))

    def create(self, contract: EmbeddingContract) -> None:
        """One transaction: if this is killed, nothing is left."""
        self.new_layout.check(contract.dimensions)
        with self._making() as cursor:
            if self._entry_or_none(cursor) is None:
                for statement in queries.creation(self._table, contract, self.new_layout):
                    cursor.execute(statement)
                self._enter(cursor, contract, self.new_layout)

    def check_adoptable(self, contract: EmbeddingContract) -> None:
        with self._transaction() as cursor:
            self._check_table(cursor, contract)

    def _check_table(self, cursor: Rows, contract: EmbeddingContract) -> PostgresLayout:
        """As `check_adoptable`. Returns the layout of the table."""
        table = (self._table.as_string(),)
        columns: dict[str, Any] = dict(cursor.execute(queries.COLUMN_TYPES, table).fetchall())
        dense = DENSE.fullmatch(columns.pop("dense", ""))
        lacking = [f"{name} {kind}" for name, kind in COLUMNS.items() if columns.get(name) != kind]
        if lacking or dense is None:
            needed = ", ".join(lacking or ["dense vector"])
            raise not_adoptable(f"collection {self.collection!r}", f"its table needs the columns {needed}, not null")
        (metric,) = cursor.execute(queries.INDEXED, table).fetchone() or ("cosine",)
        check_vector(self.collection, int(dense[2]), metric, contract)
        cursor.execute(sql.SQL("EXPLAIN {}").format(queries.insertion(self._table, self._table)))  # is "id" unique?
        page = sql.SQL("SELECT {} FROM {} LIMIT {}").format(queries.HIT, self._table, CHECKED_BEFORE_ADOPTING)
        for row in cursor.execute(page).fetchall():
            _hit(0.0, row)
        hybrid = bool(cursor.execute(queries.HAS_WORDS, table).fetchall())
        datatype: Any = dense[1]
        return replace(self.new_layout, datatype=datatype, hybrid=hybrid)

    def sample(self, limit: int, where: Condition | None = None) -> list[StoredVector]:
        """From random blocks of the table. If those hold too few rows, any."""
        with self._transaction() as cursor:
            (rows,) = cursor.execute(queries.ROWS, (self._table.as_string(),)).fetchone() or (0,)
            share = min(100.0, 100.0 * SAMPLED_ROWS * limit / rows) if rows > 0 else 100.0
            for percent in dict.fromkeys((share if where is None else 100.0, 100.0)):
                statement = sql.SQL(queries.SAMPLE).format(
                    hit=queries.HIT, table=self._table, percent=percent, where=filters.where(where), limit=limit
                )
                records = cursor.execute(statement).fetchall()
                if len(records) == limit:
                    break
        return [(_hit(0.0, row).chunk, Vector.from_text(vector).to_numpy()) for vector, *row in records]

    def adopt(self, contract: EmbeddingContract) -> None:
        """A contract that another process wrote meanwhile stays."""
        with self._making() as cursor:
            if self._entry_or_none(cursor) is None:
                self._enter(cursor, contract, self._check_table(cursor, contract))

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: PostgresLayout) -> None:
        """COPY into a temporary table, then one statement moves the rows."""
        incoming = sql.Identifier("pg_temp", "incoming")
        with self._opened() as (cursor, entry):
            cursor.execute(sql.SQL(queries.INCOMING).format(incoming, queries.NAMES, entry.table))
            with cursor.copy(
                sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(incoming, queries.NAMES)
            ) as copy:
                copy.set_types([*COLUMNS.values(), "bytea"])
                for chunk, vector in zip(chunks, vectors, strict=True):
                    copy.write_row((*_row(chunk), queries.KINDS[layout.datatype](vector).to_binary()))
            cursor.execute(queries.insertion(entry.table, incoming))

    def delete(self, where: Condition) -> None:
        with self._opened() as (cursor, entry):
            cursor.execute(sql.SQL("DELETE FROM {} WHERE {}").format(entry.table, filters.where(where)))

    def nearest(
        self,
        vectors: FloatArray,
        limit: int,
        condition: Condition | None,
        words: Words | None,
        stored: Stored,
    ) -> list[list[Hit]]:
        """One statement for all rows. If the HNSW index stopped before it had enough hits, again without the index."""
        settings = {"hnsw.ef_search": str(min(1000, max(100, 2 * limit))), "hnsw.iterative_scan": "relaxed_order"}
        with self._opened(settings | {"jit": "off"}) as (cursor, entry):
            layout = cast(PostgresLayout, stored.layout)
            statement = queries.search(entry.table, layout, vectors, limit, condition, words)

            def rows() -> list[TupleRow]:
                answer = cursor.execute(statement).fetchall()
                if words is None or words.fusion == "ranks":
                    return answer
                return _best_rows(cursor, entry, answer, limit, words.weight)

            best = rows()
            if len(best) < limit * len(vectors):
                cursor.execute("SET LOCAL enable_indexscan = off")
                best = rows()
        answers: list[list[Hit]] = [[] for _ in vectors]
        for number, score, *row in best:
            answers[number - 1].append(_hit(score, row))
        return answers

    def ids(self) -> Iterator[tuple[str, int]]:
        """Read pages. Each begins after the end of the last one, so nothing stays open in between."""
        with self._opened() as (_, entry):
            page = sql.SQL(queries.PAGE).format(entry.table)
        rows: list[TupleRow] = [(uuid.UUID(int=0),)]
        while rows:
            with self._transaction() as cursor:
                rows = cursor.execute(page, (rows[-1][0], PAGE_ROWS)).fetchall()
            yield from ((restored(document_id), number) for _, document_id, number in rows)

    def count(self) -> int:
        with self._opened() as (cursor, entry):
            return int(cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(entry.table)).fetchall()[0][0])

    def settle(self) -> None:
        """Update the planner's statistics. Build the HNSW index if there is none yet and enough rows."""
        with self._opened({"statement_timeout": "0"}) as (cursor, entry):
            cursor.execute(sql.SQL("ANALYZE {}").format(entry.table))
            table = (entry.table.as_string(),)
            (rows,) = cursor.execute(queries.ROWS, table).fetchone() or (0,)
            if rows >= entry.layout.index_from and not cursor.execute(queries.INDEXED, table).fetchone():
                kind = sql.SQL(f"{entry.layout.datatype}_cosine_ops")
                cursor.execute(sql.SQL("CREATE INDEX ON {} USING hnsw (dense {})").format(entry.table, kind))

    def point_alias(self, alias: str) -> None:
        with self._making() as cursor:
            if self._table_is_there(cursor, alias):
                raise StoreError(f"{alias!r} is a table, so it cannot be an alias: choose another name")
            cursor.execute(queries.ALIAS, (alias, self._entry(cursor, NO_SETTINGS).name))

    def real_name(self) -> str:
        entry = self._registered()
        return self.collection if entry is None else entry.name

    def drop(self) -> None:
        with self._making() as cursor:
            entry = self._entry_or_none(cursor)
            if entry is not None:
                cursor.execute(sql.SQL("DROP TABLE {}").format(entry.table))
                cursor.execute("DELETE FROM jina_v3_collections WHERE name = %s", (entry.name,))

    def close(self) -> None:
        self._on_close()

    @contextmanager
    def _transaction(self) -> Iterator[Rows]:
        with store_errors(self.collection), self._connections.connection() as connection:
            if connection.info.transaction_status == TransactionStatus.INTRANS:
                raise StoreError(
                    f"collection {self.collection!r}: the connection passed as client is inside a transaction, so "
                    "nothing would be stored when a call returns: commit or roll back first"
                )
            with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
                yield cursor

    @contextmanager
    def _opened(self, settings: Mapping[str, str] = NO_SETTINGS) -> Iterator[tuple[Rows, Entry]]:
        """A transaction in which `settings` hold, and the collection. Raises StoreNotFound."""
        with self._transaction() as cursor:
            yield cursor, self._entry(cursor, settings)

    @contextmanager
    def _making(self) -> Iterator[Rows]:
        """A transaction under the advisory lock. The extension and the table of contracts exist in it."""
        with self._transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING,))
            cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
            version = cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchall()[0][0]
            if tuple(map(int, version.split(".")[:2])) < (0, 8):
                raise StoreError(f"{EXTENSION}; {version} is here: ALTER EXTENSION vector UPDATE")
            cursor.execute(queries.REGISTRY)
            yield cursor

    def _registered(self) -> Entry | None:
        """The collection's row, read in a transaction of its own."""
        try:
            with self._opened() as (_, entry):
                return entry
        except StoreNotFound:
            return None

    def _entry(self, cursor: Rows, settings: Mapping[str, str]) -> Entry:
        """As `_entry_or_none`. Raises StoreNotFound."""
        entry = self._entry_or_none(cursor, settings)
        if entry is None:
            raise StoreNotFound(f"there is no collection {self.collection!r}; ingest documents into it first")
        return entry

    def _entry_or_none(self, cursor: Rows, settings: Mapping[str, str] = NO_SETTINGS) -> Entry | None:
        """The collection's row. For an alias, the row of the collection that it names."""
        set_ = sql.SQL(", set_config({}, {}, true)")
        query = sql.SQL(queries.ENTRY).format(
            settings=sql.SQL("").join(set_.format(*pair) for pair in settings.items())
        )
        row = cursor.execute(query, (self.collection,)).fetchone()
        if row is None:
            return None
        name, table, contract, layout, writer = row[:5]
        try:
            return Entry(name, sql.Identifier(table), contract, PostgresLayout(**json.loads(layout)), writer)
        except (TypeError, ValueError, InvalidInput) as error:
            raise StoreError(
                f"collection {self.collection!r} has a layout this version cannot read: {error}"
            ) from error

    def _enter(self, cursor: Rows, contract: EmbeddingContract, layout: PostgresLayout) -> None:
        values = (contract.to_json(), json.dumps(asdict(layout)))
        cursor.execute(queries.ENTER, (self.collection, table_name(self.collection), *values))

    def _table_is_there(self, cursor: Rows, collection: str | None = None) -> bool:
        table = table_name(collection or self.collection)
        return bool(cursor.execute("SELECT to_regclass(quote_ident(%s)) IS NOT NULL", (table,)).fetchall()[0][0])


def _row(chunk: Chunk) -> tuple[object, ...]:
    """The values of COLUMNS."""
    numbers = {number_term(field): number for field, number in numbers_of(chunk.metadata)}
    terms = {storable(key): value for key, value in (dict.fromkeys(terms_of(chunk.metadata)) | numbers).items()}
    span = (chunk.number, chunk.start, chunk.end)
    return chunk.id, storable(chunk.document_id), *span, storable(chunk.text), dict(chunk.metadata), terms


def _hit(score: float, row: Sequence[Any]) -> Hit:
    """Of the columns of queries.HIT."""
    fields = dict(zip(COLUMNS, row, strict=False))
    texts = {name: restored(fields[name]) for name in ("document_id", "text")}
    return to_hit(fields["id"], score, fields | texts)


def _best_rows(cursor: Rows, entry: Entry, scored: Sequence[TupleRow], limit: int, weight: float) -> list[TupleRow]:
    """The rows of an answer with scores fused, from the candidates (row from 1, id, cosine, score of words)."""
    cosines: dict[int, dict[uuid.UUID, float]] = {}
    shared: dict[int, dict[uuid.UUID, float]] = {}
    for number, key, cosine, words in scored:
        cosines.setdefault(number, {})[key] = cosine
        shared.setdefault(number, {})[key] = words
    best = {number: best_by_scores(cosines[number], shared[number], limit, weight) for number in cosines}
    keys = list({key for hits in best.values() for key, _ in hits})
    chunks = {row[0]: row for row in cursor.execute(queries.chunks(entry.table, keys)).fetchall()}
    return [(number, cosine, *chunks[key]) for number, hits in best.items() for key, cosine in hits if key in chunks]
