"""A collection on a Qdrant server, or in the memory of a `QdrantClient`. The contract is the collection's metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract, check_vector
from ..documents import Chunk, Hit
from ..errors import ContractMissing, StoreNotFound, not_adoptable
from ..filters import CHUNK, DOCUMENT_ID, Condition
from ..fusion import Words, best_by_scores
from ..limits import WriteLimits
from ..store import Store, Stored, StoredVector, shared_journal
from ..stored_chunk import CHECKED_BEFORE_ADOPTING, stored_chunk, to_hit, to_payload
from ..vectors import cosine, shortest
from .filters import metadata_key
from .layout import VECTOR, WORDS, QdrantLayout, layout_of
from .words import document_words

try:
    from qdrant_client import QdrantClient, models
    from qdrant_client.local.qdrant_local import QdrantLocal
except ImportError:
    raise MissingExtra("qdrant-client", "qdrant") from None

from .errors import client_errors
from .metadata import WRITER_KEY, entries, layout_in, searched
from .remote import FILTERS, collection_config, query_request, score_requests, sparse

PAGE = 1000


class ServerStore(Store):
    """A collection with the named vector "dense", cosine distance, and what the layout adds."""

    new_layout: QdrantLayout
    write_limits = WriteLimits(rows=1000, bytes=30 * 2**20)
    """A server refuses JSON bodies above 32 MiB."""

    def __init__(self, client: QdrantClient, collection: str, layout: QdrantLayout, *, owned: bool = False) -> None:
        """`layout` is that of a new collection. The client is closed here if it is `owned`."""
        self.client, self.collection, self.new_layout, self._owned = client, collection, layout, owned
        self._has_indexes = False

    @property
    def journal_file(self) -> Path:
        return shared_journal()

    def read(self) -> Stored | None:
        try:
            info = self._info()
        except StoreNotFound:
            return None
        stored = searched(info.config.metadata, self.collection)
        if stored is None:
            raise ContractMissing(self.collection)
        return stored

    def writer(self) -> str | None:
        token = (self._info().config.metadata or {}).get(WRITER_KEY)
        return None if token is None else str(token)

    def set_writer(self, token: str) -> None:
        with self._errors():
            self.client.update_collection(self.collection, metadata={WRITER_KEY: token})

    def create(self, contract: EmbeddingContract) -> None:
        """Make the collection with its contract, then its indexes. After a kill in between, `_indexed` makes them."""
        self.new_layout.check(contract.dimensions)
        with self._errors():
            if not self.client.collection_exists(self.collection):
                config = collection_config(contract.dimensions, self.new_layout)
                metadata = entries(contract, self.new_layout)
                self.client.create_collection(self.collection, metadata=metadata, **config)
            self._indexed()

    def check_adoptable(self, contract: EmbeddingContract) -> None:
        vectors = self._info().config.params.vectors
        if not isinstance(vectors, Mapping) or VECTOR not in vectors:
            names = list(vectors) if isinstance(vectors, Mapping) else "one without a name"
            raise not_adoptable(f"collection {self.collection!r}", f"it has no vector named {VECTOR!r}, but {names}")
        check_vector(self.collection, vectors[VECTOR].size, vectors[VECTOR].distance.value, contract)
        with self._errors():
            records, _ = self.client.scroll(self.collection, limit=CHECKED_BEFORE_ADOPTING, with_payload=True)
            for record in records:
                to_hit(record.id, 0.0, record.payload or {})

    def sample(self, limit: int, where: Condition | None = None) -> list[StoredVector]:
        allowed = None if where is None else FILTERS.filter(where)
        vector = self._layout(self._info()).vector
        random = models.SampleQuery(sample=models.Sample.RANDOM)
        request = models.QueryRequest(
            query=random, filter=allowed, limit=limit, with_payload=True, with_vector=[vector]
        )
        with self._errors():
            (answer,) = self.client.query_batch_points(self.collection, [request])
        return [
            (stored_chunk(point.id, point.payload or {}), np.asarray(point.vector[vector], np.float32))
            for point in answer.points
            if isinstance(point.vector, Mapping) and vector in point.vector
        ]

    def adopt(self, contract: EmbeddingContract) -> None:
        self.check_adoptable(contract)
        config = self._info().config.model_dump(mode="json")
        layout = layout_of(config["params"] | {"quantization_config": config["quantization_config"]}, self.new_layout)
        with self._errors():
            self.client.update_collection(self.collection, metadata=entries(contract, layout))

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: QdrantLayout) -> None:
        named = layout.vectors(vectors)
        points = []
        for row, chunk in enumerate(chunks):
            point_vectors: dict[str, Any] = {name: shortest(rows[row]) for name, rows in named.items()}
            if layout.hybrid:
                point_vectors[WORDS] = sparse(document_words(chunk.text))
            points.append(models.PointStruct(id=str(chunk.id), vector=point_vectors, payload=to_payload(chunk)))
        with self._errors():
            self._indexed().upsert(self.collection, points, wait=True)

    def delete(self, where: Condition) -> None:
        stale = models.FilterSelector(filter=FILTERS.filter(where))
        with self._errors():
            self._indexed().delete(self.collection, stale, wait=True)

    def nearest(
        self,
        vectors: FloatArray,
        limit: int,
        condition: Condition | None,
        words: Words | None,
        stored: Stored,
    ) -> list[list[Hit]]:
        """One round trip for all rows, two where scores are fused."""
        allowed = None if condition is None else FILTERS.filter(condition)
        layout = cast(QdrantLayout, stored.layout)
        held = replace(layout, quantization=None) if self._local else layout
        if words and words.fusion == "scores":
            return self._by_scores(vectors, limit, allowed, words, held)
        texts: Sequence[str | None] = words.texts if words else [None] * len(vectors)
        requests = [query_request(row, limit, allowed, text, held) for row, text in zip(vectors, texts, strict=True)]
        with self._errors():
            answers = self.client.query_batch_points(self.collection, requests)
        return [
            [to_hit(point.id, _cosine(point, row, words, held.vector), point.payload or {}) for point in answer.points]
            for row, answer in zip(vectors, answers, strict=True)
        ]

    def _by_scores(
        self,
        vectors: FloatArray,
        limit: int,
        allowed: models.Filter | None,
        words: Words,
        layout: QdrantLayout,
    ) -> list[list[Hit]]:
        """The scores first, then the records of the best. One that was deleted in between is left out."""
        pairs = zip(vectors, words.texts, strict=True)
        requests = [request for row, text in pairs for request in score_requests(row, limit, allowed, text, layout)]
        with self._errors():
            answers = self.client.query_batch_points(self.collection, requests)
            scores = [{point.id: point.score for point in answer.points} for answer in answers]
            best = [
                best_by_scores(cosines, shared, limit, words.weight)
                for cosines, shared in zip(scores[::2], scores[1::2], strict=True)
            ]
            keys = list({key for hits in best for key, _ in hits})
            records = {record.id: record for record in self.client.retrieve(self.collection, keys)}
        return [
            [to_hit(key, score, records[key].payload or {}) for key, score in hits if key in records] for hits in best
        ]

    def ids(self) -> Iterator[tuple[str, int]]:
        offset = None
        while True:
            with self._errors():
                records, offset = self.client.scroll(
                    self.collection, limit=PAGE, offset=offset, with_payload=[DOCUMENT_ID, CHUNK]
                )
            for record in records:
                chunk = to_hit(record.id, 0.0, record.payload or {}).chunk
                yield chunk.document_id, chunk.number
            if offset is None:
                return

    def count(self) -> int:
        with self._errors():
            return self.client.count(self.collection, exact=True).count

    def point_alias(self, alias: str) -> None:
        """One request deletes and creates the alias. The server applies both at once."""
        with self._errors():
            aliases = {entry.alias_name for entry in self.client.get_aliases().aliases}
            delete = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
            create = models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=self.collection, alias_name=alias)
            )
            self.client.update_collection_aliases([delete, create] if alias in aliases else [create])

    def real_name(self) -> str:
        with self._errors():
            aliases = {entry.alias_name: entry.collection_name for entry in self.client.get_aliases().aliases}
        return aliases.get(self.collection, self.collection)

    def drop(self) -> None:
        with self._errors():
            self.client.delete_collection(self.collection)

    def close(self) -> None:
        if self._owned:
            self.client.close()

    def _indexed(self) -> QdrantClient:
        """The client, for writes. The first call makes indexes of fields that a stopped `create` did not make."""
        if not self._has_indexes and not self._local:
            info = self.client.get_collection(self.collection)
            indexes = self._layout(info).indexes
            kinds = {metadata_key(field): models.PayloadSchemaType(kind) for field, kind in indexes.items()}
            for field, kind in {DOCUMENT_ID: models.PayloadSchemaType.KEYWORD, **kinds}.items():
                if field not in info.payload_schema:
                    self.client.create_payload_index(self.collection, field, kind, wait=True)
            self._has_indexes = True
        return self.client

    def _info(self) -> models.CollectionInfo:
        with self._errors():
            return self.client.get_collection(self.collection)

    def _layout(self, info: models.CollectionInfo) -> QdrantLayout:
        return layout_in(info.config.metadata, self.collection)

    @property
    def _local(self) -> bool:
        """Silence the client's store in memory: it warns of indexes and search settings that have no effect there."""
        return isinstance(self.client._client, QdrantLocal)

    def _errors(self) -> AbstractContextManager[None]:
        """As `client_errors`, for this collection."""
        return client_errors(self.collection)


def _cosine(point: models.ScoredPoint, row: FloatArray, words: Words | None, vector: str) -> float:
    """The score of a plain search is the cosine. The score of a fused one is a rank, so the cosine is computed."""
    if words is None or not isinstance(point.vector, Mapping):
        return point.score
    return cosine(point.vector[vector], row)
