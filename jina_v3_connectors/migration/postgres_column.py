"""New vectors in a second column of an application's table in PostgreSQL, beside the old ones.

`PostgresColumn` is a store whose chunks are the rows of a table that somebody else made, one document each. So a move
into it is run, followed, checked and switched as any other. Its contract is the comment of the new column.

A switch renames two columns in one transaction: the old one gives its name to the new one. Statements that name the
column find the new vectors from then on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import DEFAULT_RETRY, with_retries
from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract
from ..documents import Chunk
from ..errors import StoreError
from ..filters import Condition
from ..limits import WriteLimits
from ..store import Stored
from .postgres_changes import FILLING, LOCK_MILLISECONDS
from .postgres_mark import comment_of, marked
from .second_vector import SecondVector, documents_named
from .sources.postgres import TEXT_FORMS, Column, joined, postgres_reader
from .spec import MigrationSpec, column_of

import psycopg  # isort: skip  # .postgres_changes says what is missing
from psycopg import Cursor, sql
from psycopg.rows import TupleRow, tuple_row

from ..postgres.connections import connection_string
from ..postgres.errors import store_errors

KEPT = "_old"
"""Behind the name of the old column, after a switch."""
COLUMNS = """
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""
BOUND = """
SELECT DISTINCT relname FROM pg_depend
JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class ON pg_class.oid = ev_class
JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
WHERE refobjid = %s::regclass AND attname = %s ORDER BY relname
"""
INDEXES = """
SELECT amname, opcname, indisvalid, indexrelid::regclass::text FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
JOIN pg_opclass ON pg_opclass.oid = indclass[0]
JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE indrelid = %s::regclass AND attname = %s AND amname IN ('hnsw', 'ivfflat')
"""
LOCKED = """
SELECT FROM {table} AS kept JOIN unnest({casts}) AS wanted({keys}) ON ({kept}) = ({wanted})
FOR NO KEY UPDATE OF kept NOWAIT
"""
"""Nothing is waited for while rows are held, so an application's transaction is never the victim of a deadlock."""
FILL = """
UPDATE {table} AS kept SET {column} = wanted.jina_v3_vector::vector
FROM unnest({casts}, %s::text[]) AS wanted({keys}, jina_v3_vector) WHERE ({kept}) = ({wanted})
"""


@dataclass(frozen=True)
class ColumnLayout:
    """There is nothing to choose."""

    hybrid: bool = False


class PostgresColumn(SecondVector):
    """The new column. Rows that hold a vector in it are its chunks, with number 0; a row's key is its document's id."""

    kind = "column"
    write_limits = WriteLimits(rows=200, bytes=8 * 2**20)
    """Rows are locked while they are written."""

    def __init__(self, url: str, spec: MigrationSpec, *, to_new: bool = True) -> None:
        """`to_new`: whether `point_alias` leads to the new vectors, or back to the old ones.

        Raises:
            InvalidInput: the table has no such vector column.
            StoreError: the table cannot be moved in place.
        """
        old = spec.fields.vector or ""
        with closing(postgres_reader(url, spec.source_collection, old)) as reader:
            if reader.contract is not None:
                raise StoreError(
                    f"{spec.source_collection!r} is a collection of this project, which is moved into a new one: give "
                    "--to and --into in place of --in-place"
                )
            self._keys: list[Column] = reader.keys
            self._table = sql.Identifier(*reader.qualified_name())
        self._url, self._spec, self._to_new = url, spec, to_new
        self._old, self._new = old, column_of(spec)

    @property
    def filled(self) -> str | None:
        """The column that holds the new vectors now. None where there is none yet."""
        columns = self._columns()
        if columns.get(self._new) is not None:
            return self._new
        return self._old if self._is_switched(columns) else None

    def read(self) -> Stored | None:
        columns = self._columns()
        name = self._old if self._is_switched(columns) else self._new
        if name not in columns:
            return None
        mark = marked(columns[name])
        if mark is None:
            raise StoreError(
                f"{self.where} has a column {name!r} that no move made: name a new one with --in-place, or drop it "
                "first"
            )
        return Stored(EmbeddingContract.from_dict(mark.contract, self.where), ColumnLayout())

    def create(self, contract: EmbeddingContract) -> None:
        """A column without a default is added at once, whatever the table's size."""
        text = comment_of(self._new, contract)
        kind = sql.SQL(f"vector({contract.dimensions})")
        with self._transaction() as cursor:
            if self.filled is None:
                cursor.execute(
                    sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(self._table, sql.Identifier(self._new), kind)
                )
                cursor.execute(
                    sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                        self._table, sql.Identifier(self._new), sql.Literal(text)
                    )
                )

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: ColumnLayout) -> None:
        """Rows that are gone by now are left out."""
        keys = self._divided([chunk.document_id for chunk in chunks])
        texts = [json.dumps(vector.tolist()) for vector in vectors]
        with self._writing() as cursor:
            cursor.execute(self._statement(LOCKED), keys)
            cursor.execute(self._statement(FILL), [*keys, texts])

    def delete(self, where: Condition) -> None:
        """Empties the column of rows. Most of them are gone already."""
        keys = self._divided(list(documents_named(where)))
        if not keys[0]:
            return
        with self._writing() as cursor:
            cursor.execute(self._statement(LOCKED), keys)
            cursor.execute(self._statement(FILL), [*keys, [None] * len(keys[0])])

    def ids(self) -> Iterator[tuple[str, int]]:
        parts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(key.name)) for key in self._keys)
        with self._writing() as cursor:
            statement = sql.SQL("SELECT ARRAY[{}] FROM {} WHERE {} IS NOT NULL")
            rows = cursor.execute(statement.format(parts, self._table, self._column)).fetchall()
        yield from ((joined(key), 0) for (key,) in rows)

    def count(self) -> int:
        with self._writing() as cursor:
            statement = sql.SQL("SELECT count({}) FROM {}").format(self._column, self._table)
            return int(cursor.execute(statement).fetchall()[0][0])

    def settle(self) -> None:
        """Give the new column an index of the kind that the old one has, without stopping those who write."""
        with store_errors(self.where), psycopg.connect(connection_string(self._url), autocommit=True) as connection:
            indexes = [connection.execute(INDEXES, (self._name, name)).fetchall() for name in (self._old, self._new)]
            for _, _, valid, name in indexes[1]:
                if not valid:  # a stopped call left it
                    connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.SQL(name)))
            if not indexes[0] or any(valid for _, _, valid, _ in indexes[1]) or self.filled != self._new:
                return
            method, operators, _, _ = indexes[0][0]
            operators = operators.replace("halfvec_", "vector_")  # the new column is a vector, whatever the old one is
            statement = sql.SQL("CREATE INDEX CONCURRENTLY ON {} USING {} ({} {})")
            connection.execute(
                statement.format(self._table, sql.SQL(method), sql.Identifier(self._new), sql.SQL(operators))
            )

    def point_alias(self, alias: str) -> None:
        """Let `alias`, the old column's name, name the new column, or the old one again.

        Raises:
            StoreError: it is no name of the old column, or a view reads that column.
            StoreBusy: others held the table for too long. Nothing has changed.
        """
        if alias != self._old:
            raise StoreError(f"the name to switch is that of the old column, {self._old!r}, not {alias!r}")
        with_retries(partial(self._rename, to_new=self._to_new), DEFAULT_RETRY)

    def _rename(self, *, to_new: bool) -> None:
        kept = self._old + KEPT
        with self._transaction() as cursor:
            columns = self._columns(cursor)
            if self._is_switched(columns) == to_new:
                return
            if to_new and kept in columns:
                raise StoreError(
                    f"{self.where} has a column {kept!r} already: drop or rename it, it is for the old vectors"
                )
            views = [view for (view,) in cursor.execute(BOUND, (self._name, self._old)).fetchall()]
            if views:
                raise StoreError(
                    f"{self.where} is read by {', '.join(views)}, and a view keeps its column when that is renamed, "
                    "so it would go on with the other vectors: drop these views, switch, and make them again. Nothing "
                    "was changed"
                )
            if to_new:  # whoever writes fills the new column only, from now on
                self._alter(cursor, "ALTER COLUMN {} DROP NOT NULL", self._old)
            for before, after in ((self._old, kept), (self._new, self._old))[:: 1 if to_new else -1]:
                self._alter(cursor, "RENAME COLUMN {} TO {}", *((before, after) if to_new else (after, before)))

    def _alter(self, cursor: Cursor[TupleRow], change: str, *names: str) -> None:
        statement = sql.SQL("ALTER TABLE {} " + change).format(self._table, *map(sql.Identifier, names))
        cursor.execute(statement)

    def real_name(self) -> str:
        """That of the new vectors, where the old column's name stands for them."""
        return self._spec.target_collection if self._is_switched(self._columns()) else self._old

    @property
    def after_switch(self) -> str:
        return (
            f"the column {self._old} holds the new vectors, {self._old}{KEPT} the old ones. Your application encodes "
            "questions and new texts with the new model from now on"
        )

    @property
    def after_rollback(self) -> str:
        return f"the column {self._old} holds the old vectors again; rows written since the switch have none"

    def check_droppable(self) -> str:
        switched = self._is_switched(self._columns())
        if switched == self._to_new:
            raise StoreError(
                f"the column {self._old!r} of {self.where} is what searches read, so it is not dropped: "
                + ("roll back first" if switched else "switch first")
            )
        return self._new if self._to_new else self._old + KEPT

    def drop(self) -> None:
        name = self.check_droppable()
        if name in self._columns():
            with self._transaction() as cursor:
                self._alter(cursor, "DROP COLUMN {}", name)

    def close(self) -> None:
        """Each call has a connection of its own."""

    @property
    def where(self) -> str:
        return f"table {self._spec.source_collection!r}"

    @property
    def _name(self) -> str:
        return self._table.as_string(None)

    @property
    def _column(self) -> sql.Identifier:
        return sql.Identifier(self.filled or self._new)

    def _columns(self, cursor: Cursor[TupleRow] | None = None) -> dict[str, str | None]:
        """All columns, with their comments."""
        if cursor is not None:
            return dict(cursor.execute(COLUMNS, (self._name,)).fetchall())
        with self._transaction() as other:
            return self._columns(other)

    def _is_switched(self, columns: dict[str, str | None]) -> bool:
        """The old name has the new vectors: they carry the mark of this move."""
        mark = marked(columns.get(self._old))
        return mark is not None and mark.column == self._new and self._new not in columns

    def _divided(self, ids: Sequence[str]) -> list[list[str]]:
        """One list for each column of the key."""
        keys = [[key] if len(self._keys) == 1 else json.loads(key) for key in ids]
        return [list(column) for column in zip(*keys, strict=True)] or [[] for _ in self._keys]

    def _statement(self, text: str) -> sql.Composed:
        names = [sql.Identifier(key.name) for key in self._keys]

        def of(table: str) -> sql.Composed:
            return sql.SQL(", ").join(sql.SQL(".").join((sql.Identifier(table), name)) for name in names)

        return sql.SQL(text).format(
            table=self._table,
            column=self._column,
            casts=sql.SQL(", ").join(sql.SQL(f"%s::text[]::{key.full_kind}[]") for key in self._keys),
            keys=sql.SQL(", ").join(names),
            kept=of("kept"),
            wanted=of("wanted"),
        )

    @contextmanager
    def _writing(self) -> Iterator[Cursor[TupleRow]]:
        """A transaction whose changes our own triggers do not note."""
        with self._transaction() as cursor:
            cursor.execute(f"SET LOCAL {FILLING} = 'on'; {TEXT_FORMS}")
            yield cursor

    @contextmanager
    def _transaction(self) -> Iterator[Cursor[TupleRow]]:
        with (
            store_errors(self.where),
            psycopg.connect(connection_string(self._url)) as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_MILLISECONDS}ms'")
            yield cursor


def in_place(url: str, spec: MigrationSpec) -> MigrationSpec:
    """`spec` with the old column's name, for a new move.

    Raises:
        InvalidInput: settings that cannot be kept in place.
        StoreError: the table has no vector column, or is one of ours.
    """
    settings = spec.settings
    if settings.late_chunking or settings.rechunk_tokens is not None:
        raise InvalidInput(
            "--in-place gives each row a vector of its own text: leave --late-chunking, --blend and --rechunk out, or "
            "give --to and --into, a new collection"
        )
    with closing(postgres_reader(url, spec.source_collection, spec.fields.vector)) as reader:
        old = reader.vector_column
    if old is None:
        raise StoreError(f"table {spec.source_collection!r} has no column of vectors that a new one could stand beside")
    if column_of(spec) in (old, old + KEPT):
        raise InvalidInput(f"--in-place {column_of(spec)} is a name of the old column: choose another one")
    named = replace(spec, fields=replace(spec.fields, vector=old))
    if PostgresColumn(url, named).filled == old:
        raise InvalidInput(
            f"the column {old!r} was {column_of(spec)!r} when an earlier move made it: choose another name for the new "
            "one"
        )
    return named
