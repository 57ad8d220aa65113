"""A collection on a Qdrant server, or in the memory of a `QdrantClient`. The contract is the collection's metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jina_v3_encoder.errors import MissingExtra

from ..batches import WriteLimits
from ..contract import EmbeddingContract
from ..documents import Chunk, Hit, Tail
from ..errors import StoreBusy, StoreError, StoreNotFound
from ..filters import Condition
from ..store import FloatArray, Store, shared_journal
from .convert import DOCUMENT_KEY, NUMBER_KEY, VECTOR, any_tail, to_hit, to_payload
from .filters import Dialect, Translator

try:
    import httpx
    from qdrant_client import QdrantClient, models
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
    from qdrant_client.local.qdrant_local import QdrantLocal
except ImportError:
    raise MissingExtra("qdrant-client", "qdrant") from None

PAGE = 1000
CONTRACT_KEY = "jina_v3"
BUSY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
RETRY_AFTER = "retry-after"
FILTERS = Translator(
    Dialect(models.Filter, models.FieldCondition, models.MatchAny, models.MatchValue, models.Range, bool)
)


class ServerStore(Store):
    """The named vector "dense" of a collection, with cosine distance."""

    write_limits = WriteLimits(rows=1000, bytes=30 * 2**20)
    """A server refuses JSON bodies above 32 MiB."""

    def __init__(self, client: QdrantClient, collection: str) -> None:
        """The client stays its owner's to close."""
        self.client, self.collection = client, collection

    @property
    def journal_file(self) -> Path:
        return shared_journal()

    def read_contract(self) -> EmbeddingContract | None:
        with self._errors():
            if not self.client.collection_exists(self.collection):
                return None
            metadata: Mapping[str, Any] = self.client.get_collection(self.collection).config.metadata or {}
        values = metadata.get(CONTRACT_KEY)
        if not isinstance(values, Mapping):
            raise StoreError(
                f"collection {self.collection!r} exists but was not made by this project, so nothing says which model "
                "its vectors are from; ingest into a new collection. Nothing was changed."
            )
        return EmbeddingContract.from_dict(values, self.collection)

    def create(self, contract: EmbeddingContract) -> None:
        vectors = {VECTOR: models.VectorParams(size=contract.dimensions, distance=models.Distance.COSINE)}
        with self._errors():
            self.client.create_collection(
                self.collection, vectors_config=vectors, metadata={CONTRACT_KEY: contract.to_dict()}
            )
            if not self._local:
                self.client.create_payload_index(
                    self.collection, DOCUMENT_KEY, models.PayloadSchemaType.KEYWORD, wait=True
                )

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> None:
        points = [
            models.PointStruct(id=str(chunk.id), vector={VECTOR: shortest(row)}, payload=to_payload(chunk))
            for chunk, row in zip(chunks, vectors, strict=True)
        ]
        with self._errors():
            self.client.upsert(self.collection, points, wait=True)

    def delete(self, tails: Sequence[Tail]) -> None:
        stale = models.FilterSelector(filter=FILTERS.filter(any_tail(tails)))
        with self._errors():
            self.client.delete(self.collection, stale, wait=True)

    def nearest(self, vectors: FloatArray, limit: int, condition: Condition | None) -> list[list[Hit]]:
        """One round trip for all rows."""
        if not len(vectors):
            return []
        allowed = None if condition is None else FILTERS.filter(condition)
        requests = [
            models.QueryRequest(query=shortest(row), using=VECTOR, limit=limit, filter=allowed, with_payload=True)
            for row in vectors
        ]
        with self._errors():
            found = self.client.query_batch_points(self.collection, requests)
        return [[to_hit(point.score, point.payload or {}) for point in answer.points] for answer in found]

    def ids(self) -> Iterator[tuple[str, int]]:
        offset = None
        while True:
            with self._errors():
                records, offset = self.client.scroll(
                    self.collection, limit=PAGE, offset=offset, with_payload=[DOCUMENT_KEY, NUMBER_KEY]
                )
            for record in records:
                payload = record.payload or {}
                yield payload[DOCUMENT_KEY], payload[NUMBER_KEY]
            if offset is None:
                return

    def count(self) -> int:
        with self._errors():
            return self.client.count(self.collection, exact=True).count

    def close(self) -> None:
        """Nothing is held here."""

    @property
    def _local(self) -> bool:
        """The client's own store in memory, which warns that payload indexes have no effect there."""
        return isinstance(self.client._client, QdrantLocal)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """The client raises by transport and mode; say what it means for the collection."""
        where = f"collection {self.collection!r}"
        try:
            yield
        except StoreError:
            raise
        except ResourceExhaustedResponse as error:
            raise StoreBusy(f"{where}: {error}", float(error.retry_after_s)) from error
        except UnexpectedResponse as error:
            raise self._by_status(where, error) from error
        except (ResponseHandlingException, httpx.TransportError, ConnectionError, TimeoutError) as error:
            raise StoreBusy(f"{where}: the server cannot be reached: {error}") from error
        except ValueError as error:
            missing = "not found" in str(error)
            raise (StoreNotFound if missing else StoreError)(f"{where}: {error}") from error

    def _by_status(self, where: str, error: UnexpectedResponse) -> StoreError:
        try:
            reason = error.structured()["status"]["error"]
        except Exception:
            reason = error.content[:200].decode("utf-8", "replace")
        message = f"{where}: the server answers {error.status_code}: {reason}"
        if error.status_code in BUSY_STATUS:
            wished = error.headers.get(RETRY_AFTER, "")
            return StoreBusy(message, float(wished) if wished.isdigit() else None)
        return (StoreNotFound if error.status_code == 404 else StoreError)(message)


def shortest(row: FloatArray) -> list[float]:
    """The numbers whose shortest decimal form reads back as the same float32: 41 % less JSON than float64's digits."""
    return [float(str(value)) for value in row]
