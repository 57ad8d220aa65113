"""The statements that search, and those that make tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from pgvector import HalfVector, Vector
from psycopg import sql

from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract
from ..filters import Condition
from ..fusion import RRF_K, Words, fused_depth
from .filters import where
from .layout import COLUMNS, PostgresLayout, storable

REGISTRY = """
CREATE TABLE IF NOT EXISTS jina_v3_collections (
    name text PRIMARY KEY, alias_of text REFERENCES jina_v3_collections, relation text,
    contract json, layout json, writer text)
"""
ENTRY = """
SELECT kept.name, kept.relation, kept.contract::text, kept.layout::text, kept.writer {settings}
FROM jina_v3_collections AS asked
JOIN jina_v3_collections AS kept ON kept.name = coalesce(asked.alias_of, asked.name)
WHERE asked.name = %s AND to_regclass(quote_ident(kept.relation)) IS NOT NULL
"""
ENTER = """
INSERT INTO jina_v3_collections (name, relation, contract, layout) VALUES (%s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET (relation, contract, layout, writer, alias_of)
    = (excluded.relation, excluded.contract, excluded.layout, NULL, NULL)
"""
ALIAS = """
INSERT INTO jina_v3_collections (name, alias_of) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET alias_of = excluded.alias_of
"""
COLUMN_TYPES = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND attnotnull
"""
INDEXED = """
SELECT split_part(opcname, '_', 2) FROM pg_index JOIN pg_opclass ON pg_opclass.oid = ANY(indclass)
WHERE indrelid = to_regclass(%s) AND opcname ~ '^(vector|halfvec)_'
"""
HAS_WORDS = """
SELECT FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attname = 'words' AND atttypid = 'tsvector'::regtype AND attgenerated = 's'
"""
SAMPLE = """
SELECT dense::text, {hit} FROM {table} TABLESAMPLE SYSTEM ({percent}) WHERE {where} ORDER BY random() LIMIT {limit}
"""
INCOMING = "CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA"
PAGE = "SELECT id, document_id, chunk FROM {} WHERE id > %s ORDER BY id LIMIT %s"
ROWS = "SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)"
KINDS: dict[str, type[Vector] | type[HalfVector]] = {"vector": Vector, "halfvec": HalfVector}
NAMES = sql.SQL(", ").join(sql.Identifier(name) for name in (*COLUMNS, "dense"))
WORDS = sql.SQL("words tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, left(text, 131072))) STORED")
HIT = sql.SQL('id, document_id, chunk, start, "end", text, metadata::text')
NEAREST = """
SELECT q.number, 1 - hit.distance, {hit}
FROM unnest({vectors}::{kind}[]) WITH ORDINALITY AS q(vector, number)
CROSS JOIN LATERAL (
    SELECT *, dense <=> q.vector AS distance FROM {table} WHERE {where} ORDER BY dense <=> q.vector LIMIT {limit}
) AS hit
ORDER BY q.number, hit.distance + 0, hit.id
"""
"""An iterative scan gives its later parts in relaxed order, so the last line sorts. With "+ 0" the planner really
does."""
NEAR = """
SELECT id, dense <=> q.vector AS distance FROM {table} WHERE {where} ORDER BY dense <=> q.vector LIMIT {depth}
"""
WORDED = """
SELECT id, sum(weight * ln(1 + greatest(total, frequency) / frequency)) AS score
FROM (SELECT reltuples FROM pg_class WHERE oid = {name}::regclass) AS size(total),
    (SELECT DISTINCT unnest(string_to_array(plainto_tsquery('simple', q.words)::text, ' & '))::tsquery) AS asked(word)
    CROSS JOIN LATERAL (
        SELECT id, weight, count(*) OVER ()::float AS frequency FROM (
            SELECT id, ts_rank(words, word, 1) AS weight FROM {table} WHERE words @@ word AND {where}
            OFFSET 0) AS matched) AS counted
GROUP BY id
"""
"""A word counts more if it is rarer among the filtered chunks, as in BM25. ts_rank alone does not know that.

With "OFFSET 0" the count reads ids and weights only, and not the words of the texts, which are megabytes.
"""
FUSED = """
SELECT q.number, 1 - (dense <=> q.vector), {hit}
FROM unnest({vectors}::{kind}[], {words}::text[]) WITH ORDINALITY AS q(vector, words, number)
CROSS JOIN LATERAL (
    SELECT id, sum(1.0 / ({rrf_k} + nth)) AS fused FROM (
        SELECT id, row_number() OVER (ORDER BY distance + 0, id) AS nth FROM ({near}) AS near
        UNION ALL
        SELECT id, row_number() OVER (ORDER BY score DESC, id) FROM (
            {worded} ORDER BY score DESC, id LIMIT {depth}) AS worded
    ) AS sides GROUP BY id ORDER BY fused DESC, id LIMIT {limit}
) AS best JOIN {table} USING (id)
ORDER BY q.number, fused DESC, id
"""
SCORED = """
SELECT q.number, id, 1 - (dense <=> q.vector), score
FROM unnest({vectors}::{kind}[], {words}::text[]) WITH ORDINALITY AS q(vector, words, number)
CROSS JOIN LATERAL (
    WITH worded AS MATERIALIZED ({worded})
    SELECT id, max(score) AS score FROM (
        SELECT near.id, coalesce(worded.score, 0) AS score FROM ({near}) AS near LEFT JOIN worded USING (id)
        UNION ALL
        (SELECT id, score FROM worded ORDER BY score DESC, id LIMIT {depth})
    ) AS sides GROUP BY id
) AS candidate JOIN {table} USING (id)
"""
CHUNKS = "SELECT {hit} FROM {table} WHERE id = ANY({ids})"


def insertion(table: sql.Identifier, source: sql.Identifier) -> sql.Composed:
    """Write all rows of `source`. Rows with the same id are replaced."""
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in (*COLUMNS, "dense")
    )
    statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ORDER BY id ON CONFLICT (id) DO UPDATE SET {}")
    return statement.format(table, NAMES, NAMES, source, changes)


def search(
    table: sql.Identifier,
    layout: PostgresLayout,
    vectors: FloatArray,
    limit: int,
    condition: Condition | None,
    words: Words | None,
) -> sql.Composed:
    """One statement for all rows of `vectors`: (row from 1, cosine, the columns of HIT), best first.

    Where scores are fused: (row from 1, id, cosine, score of words) of each side's best.
    """
    parts: dict[str, Any] = {
        "vectors": [KINDS[layout.datatype](row).to_text() for row in vectors],
        "kind": sql.SQL(layout.datatype),
        "table": table,
        "where": where(condition),
        "limit": limit,
        "hit": HIT,
    }
    if words is None:
        return sql.SQL(NEAREST).format(**parts)
    parts |= {"name": table.as_string(), "depth": fused_depth(limit), "rrf_k": RRF_K}
    parts |= {"words": [storable(text) for text in words.texts]}
    parts |= {"near": sql.SQL(NEAR).format(**parts), "worded": sql.SQL(WORDED).format(**parts)}
    return sql.SQL(SCORED if words.fusion == "scores" else FUSED).format(**parts)


def chunks(table: sql.Identifier, ids: Sequence[UUID]) -> sql.Composed:
    """The columns of HIT of some chunks, in no particular order."""
    return sql.SQL(CHUNKS).format(hit=HIT, table=table, ids=list(ids))


def creation(table: sql.Identifier, contract: EmbeddingContract, layout: PostgresLayout) -> Iterator[sql.Composed]:
    """Make the table and its small indexes. The HNSW index comes later: inserts without it are many times as fast."""
    columns = [sql.SQL("{} {} NOT NULL").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in COLUMNS.items()]
    columns.append(sql.SQL("dense {}({}) NOT NULL").format(sql.SQL(layout.datatype), contract.dimensions))
    if layout.hybrid:
        columns.append(sql.SQL("{}").format(WORDS))
    yield sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY (id))").format(table, sql.SQL(", ").join(columns))
    for index in ("(document_id, chunk)", "USING gin (terms)", *(["USING gin (words)"] if layout.hybrid else [])):
        yield sql.SQL("CREATE INDEX ON {} {}").format(table, sql.SQL(index))
