"""One small interface for the two kinds of index. Each kind refuses the other's requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jina_v3_encoder.vectors import FloatArray

from ..documents import Chunk
from ..vectors import shortest
from .convert import STORED_FIELDS, to_fields
from .schema import VECTOR

Matches = list[tuple[str, float, Mapping[str, Any]]]
"""(id, score, fields) of each match."""
PAGE = 100


class Plane(ABC):
    """Reads and writes of one namespace of one index."""

    def __init__(self, index: Any, namespace: str) -> None:
        """`index` is what `Pinecone.index` returns."""
        self.index, self.namespace = index, namespace

    @abstractmethod
    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> Any:
        """Write, and return the client's response."""

    @abstractmethod
    def delete(self, allowed: Mapping[str, Any]) -> Any:
        """Delete by filter, and return the client's response."""

    @abstractmethod
    def clear(self) -> Any:
        """Delete every record, and return the client's response."""

    @abstractmethod
    def search(self, vector: FloatArray, limit: int, allowed: Mapping[str, Any] | None) -> tuple[Matches, Any]:
        """The matches, and the client's response."""

    @abstractmethod
    def fields(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """(id, fields) of every record."""

    @abstractmethod
    def vectors(self, names: Sequence[str]) -> list[tuple[str, Mapping[str, Any], FloatArray]]:
        """(id, fields, vector) of the records with these ids, `PAGE` or fewer."""

    def count(self) -> int:
        summary = self.index.describe_index_stats().namespaces.get(self.namespace)
        return 0 if summary is None else int(summary.vector_count)


class DocumentPlane(Plane):
    """A document index: records are documents with a vector field."""

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> Any:
        documents = [
            {"_id": str(chunk.id), VECTOR: shortest(row), **to_fields(chunk)}
            for chunk, row in zip(chunks, vectors, strict=True)
        ]
        return self.index.documents.upsert(namespace=self.namespace, documents=documents)

    def delete(self, allowed: Mapping[str, Any]) -> Any:
        return self.index.documents.delete(namespace=self.namespace, filter=allowed)

    def clear(self) -> Any:
        return self.index.documents.delete(namespace=self.namespace, delete_all=True)

    def search(self, vector: FloatArray, limit: int, allowed: Mapping[str, Any] | None) -> tuple[Matches, Any]:
        answer = self.index.documents.search(
            namespace=self.namespace,
            score_by=[{"type": "dense_vector", "field": VECTOR, "values": shortest(vector)}],
            top_k=limit,
            include_fields=STORED_FIELDS,
            filter=allowed,
        )
        return [(match.id, match.score, match.to_dict()) for match in answer.matches], answer

    def fields(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for page in self.index.documents.list(namespace=self.namespace, limit=PAGE).pages():
            names = [record.id for record in page.items]
            if names:
                records = self.index.documents.fetch(
                    namespace=self.namespace, ids=names, include_fields=["document_id", "chunk"]
                )
                yield from ((name, document.to_dict()) for name, document in records.documents.items())

    def vectors(self, names: Sequence[str]) -> list[tuple[str, Mapping[str, Any], FloatArray]]:
        records = self.index.documents.fetch(namespace=self.namespace, ids=list(names)).documents
        fields = {name: document.to_dict() for name, document in records.items()}
        return [(name, values, np.asarray(values[VECTOR], np.float32)) for name, values in fields.items()]


class VectorPlane(Plane):
    """A vector index: records are vectors with metadata."""

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> Any:
        records = [
            {"id": str(chunk.id), "values": shortest(row), "metadata": to_fields(chunk)}
            for chunk, row in zip(chunks, vectors, strict=True)
        ]
        return self.index.upsert(vectors=records, namespace=self.namespace)

    def delete(self, allowed: Mapping[str, Any]) -> Any:
        return self.index.delete(filter=allowed, namespace=self.namespace)

    def clear(self) -> Any:
        return self.index.delete(delete_all=True, namespace=self.namespace)

    def search(self, vector: FloatArray, limit: int, allowed: Mapping[str, Any] | None) -> tuple[Matches, Any]:
        answer = self.index.query(
            vector=shortest(vector), top_k=limit, namespace=self.namespace, filter=allowed, include_metadata=True
        )
        return [(match.id, match.score, match.metadata or {}) for match in answer.matches], answer

    def fields(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        token = None
        while True:
            page = self.index.list_paginated(namespace=self.namespace, limit=PAGE, pagination_token=token)
            names = [record.id for record in page.vectors]
            if names:
                records = self.index.fetch(ids=names, namespace=self.namespace)
                yield from ((name, vector.metadata or {}) for name, vector in records.vectors.items())
            token = page.pagination.next if page.pagination else None
            if not token:
                return

    def vectors(self, names: Sequence[str]) -> list[tuple[str, Mapping[str, Any], FloatArray]]:
        records = self.index.fetch(ids=list(names), namespace=self.namespace).vectors
        return [(name, row.metadata or {}, np.asarray(row.values, np.float32)) for name, row in records.items()]


PLANES: dict[str, type[Plane]] = {"documents": DocumentPlane, "vectors": VectorPlane}
