"""Namespaces of Pinecone's indexes, document indexes and vector indexes, whoever filled them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ...errors import StoreError
from ...pinecone.connector import check_name, connect
from ...pinecone.errors import index_errors
from ...pinecone.schema import RESERVED_VECTOR, VECTOR, from_tags, stored_layout
from .reading import Row, as_vector, chosen_vector

from pinecone import Pinecone  # isort: skip  # pinecone.errors says what is missing

USUAL = (VECTOR, RESERVED_VECTOR)
LISTED = 100
"""Ids that one request lists, or fetches: some requests carry them in their URL."""
ALL_FIELDS = ["*"]


class PineconeReader:
    """A namespace. Pinecone lists ids in the order of their bytes."""

    def __init__(self, client: Pinecone, name: str, namespace: str, vector: str | None, *, owned: bool) -> None:
        """The client is closed here if it is `owned`. Raises StoreError: there is no such index."""
        self.title, self.name, self.namespace = f"index {name!r}, namespace {namespace!r}", name, namespace
        self._client, self._owned = client, owned
        with self._errors():
            index = client.indexes.describe(name)
            self._index = client.index(host=str(index.host))
        self.contract = from_tags(index.tags or {}, name)
        self._has_documents = stored_layout(index).kind == "documents"
        fields: Mapping[str, Any] = index.schema.fields
        sizes = {name: int(kind.dimension) for name, kind in fields.items() if getattr(kind, "dimension", None)}
        self._vector = chosen_vector(sizes, vector, USUAL, self.title)
        self.dimensions = None if self._vector is None else sizes[self._vector]
        self._vectors = frozenset(sizes)

    def pages(self, after: str | None, *, vectors: bool) -> Iterator[Sequence[Row]]:
        last = ""
        for keys in self._listed():
            if after is not None and keys != sorted([last, *keys])[1:]:
                raise StoreError(f"{self.title} does not list its ids in order, so reading cannot go on behind one")
            last = keys[-1]
            remaining = [key for key in keys if after is None or key > after]
            if rows := self.rows(remaining, vectors=vectors) if remaining else []:
                by_key = {row.key: row for row in rows}
                yield [by_key[key] for key in remaining if key in by_key]

    def rows(self, keys: Sequence[str], *, vectors: bool) -> list[Row]:
        parts = (keys[start : start + LISTED] for start in range(0, len(keys), LISTED))
        return [row for part in parts for row in self._fetched(list(part), vectors)]

    def _fetched(self, keys: list[str], vectors: bool) -> list[Row]:
        with self._errors():
            if not self._has_documents:
                records = self._index.fetch(ids=keys, namespace=self.namespace).vectors
                return [
                    Row(key, dict(record.metadata or {}), as_vector(record.values) if vectors else None)
                    for key, record in records.items()
                ]
            answer = self._index.documents.fetch(namespace=self.namespace, ids=keys, include_fields=ALL_FIELDS)
        return [self._document(key, document.to_dict(), vectors) for key, document in answer.documents.items()]

    def count(self) -> int:
        with self._errors():
            summary = self._index.describe_index_stats().namespaces.get(self.namespace)
        return 0 if summary is None else int(summary.vector_count)

    def close(self) -> None:
        self._index.close()
        if self._owned:
            self._client.close()

    def _listed(self) -> Iterator[list[str]]:
        """The ids of each page that has any."""
        if self._has_documents:
            with self._errors():
                for page in self._index.documents.list(namespace=self.namespace, limit=LISTED).pages():
                    if page.items:
                        yield [record.id for record in page.items]
            return
        token: str | None = None
        while True:
            with self._errors():
                part = self._index.list_paginated(namespace=self.namespace, limit=LISTED, pagination_token=token)
            if part.vectors:
                yield [str(record.id) for record in part.vectors]
            token = part.pagination.next if part.pagination else None
            if not token:
                return

    def _document(self, key: str, values: Mapping[str, Any], vectors: bool) -> Row:
        fields = {
            name: value for name, value in values.items() if name not in self._vectors and name not in ("_id", "_score")
        }
        return Row(key, fields, as_vector(values.get(str(self._vector))) if vectors else None)

    def _errors(self) -> AbstractContextManager[None]:
        return index_errors(self.name)


def pinecone_reader(index: str, namespace: str, vector: str | None) -> PineconeReader:
    """A reader with a client of its own."""
    check_name(index)
    client = connect()
    try:
        return PineconeReader(client, index, namespace, vector, owned=True)
    except BaseException:
        client.close()
        raise
