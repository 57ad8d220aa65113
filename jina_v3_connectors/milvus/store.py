"""A collection behind a `MilvusClient`, be it a server or Milvus Lite. The contract is a property of the collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jina_v3_encoder.errors import InvalidInput

from ..batches import WriteLimits
from ..contract import EmbeddingContract, check_vector
from ..disk import check_room, room_to_write
from ..documents import Chunk, Hit, Tail
from ..errors import ContractMissing, StoreBusy, StoreError, StoreNotFound
from ..filters import Condition
from ..store import FloatArray, Store
from .convert import OUTPUT_FIELDS, any_tail, to_hit, to_row
from .filters import expression
from .quiet import quiet
from .schema import (
    CONTRACT_PROPERTY,
    FIELDS,
    MAX_TERMS,
    MAX_VARCHAR,
    PARTITION_PROPERTY,
    VECTOR,
    WORDS,
    WRITER_PROPERTY,
    MilvusLayout,
    collection_schema,
    field_names,
    foreign_fields,
    index_params,
    properties,
    stored_contract,
    to_property,
    vector_size,
)

from pymilvus import AnnSearchRequest, MilvusClient, MilvusException, RRFRanker  # isort: skip  # schema says what is missing

PAGE = 1000
TIMEOUT = 60.0
"""Seconds for one call; without it the client repeats some errors 75 times and waits for others for ever."""
MAX_LIMIT = 16_384
QUERIES_AT_ONCE = 1000
RRF_K = 60
NOT_FOUND = 100
BUSY_CODES = frozenset({2, 4, 8})
"""Unavailable, too many requests, rate limit."""


class MilvusStore(Store):
    """A collection with a row for each chunk and cosine similarity."""

    write_limits = WriteLimits(
        rows=5000, bytes=60 * 2**20, text_bytes=MAX_VARCHAR, metadata_bytes=MAX_VARCHAR, terms=MAX_TERMS
    )
    """A server takes 64 MB a message."""

    def __init__(
        self,
        client: MilvusClient,
        collection: str,
        journal: Path,
        layout: MilvusLayout,
        let_go: Callable[[], None] = lambda: None,
        folder: Path | None = None,
    ) -> None:
        """`layout` counts where there is no collection yet; `let_go` is called once when this is closed.

        `folder` is where Milvus Lite keeps its data, None for a server.
        """
        self._folder = folder
        self.client, self.collection, self.layout = client, collection, layout
        self._journal, self._let_go, self._loaded = journal, let_go, False

    @property
    def journal_file(self) -> Path:
        return self._journal

    @property
    def hybrid(self) -> bool:
        return self.layout.hybrid

    def read_contract(self) -> EmbeddingContract | None:
        try:
            description = self._describe()
        except StoreNotFound:
            return None
        contract = stored_contract(description, self.collection)
        if contract is None:
            raise ContractMissing(self.collection)
        key = (description.get("properties") or {}).get(PARTITION_PROPERTY)
        self.layout = replace(self.layout, hybrid=WORDS in field_names(description), partition_key=key)
        return contract

    def writer(self) -> str | None:
        token = (self._describe().get("properties") or {}).get(WRITER_PROPERTY)
        return None if token is None else str(token)

    def set_writer(self, token: str) -> None:
        with self._errors():
            self.client.alter_collection_properties(self.collection, {WRITER_PROPERTY: token}, timeout=TIMEOUT)

    def create(self, contract: EmbeddingContract) -> None:
        with self._errors():
            if self.client.has_collection(self.collection, timeout=TIMEOUT):
                return
            self.client.create_collection(
                self.collection,
                schema=collection_schema(contract, self.layout),
                index_params=index_params(self.layout),
                properties=properties(contract, self.layout),
                consistency_level="Session",
                timeout=TIMEOUT,
            )

    def adopt(self, contract: EmbeddingContract) -> None:
        description = self._describe()
        missing = [name for name in FIELDS if name not in field_names(description)]
        if missing:
            raise StoreError(
                f"collection {self.collection!r} cannot be adopted: it has no field {', '.join(missing)}, and fields "
                "cannot be added to what is stored; ingest into a new collection"
            )
        foreign = foreign_fields(description, collection_schema(contract, MilvusLayout()))
        if foreign:
            raise StoreError(
                f"collection {self.collection!r} cannot be adopted: {', '.join(foreign)}; ingest into a new collection"
            )
        with self._errors():
            index = self.client.describe_index(self.collection, VECTOR, timeout=TIMEOUT)
        if not index:
            raise StoreError(f"collection {self.collection!r} cannot be adopted: it has no index of {VECTOR!r}")
        check_vector(self.collection, vector_size(description), str(index["metric_type"]), contract)
        with self._errors():
            self.client.alter_collection_properties(
                self.collection, {CONTRACT_PROPERTY: to_property(contract)}, timeout=TIMEOUT
            )

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> None:
        if self._folder is not None:
            check_room(self._folder, room_to_write(chunks, vectors.shape[1]))
        key = self.layout.partition_key
        rows = [to_row(chunk, vector, key) for chunk, vector in zip(chunks, vectors, strict=True)]
        with self._errors():
            self._ready().upsert(self.collection, rows, timeout=TIMEOUT)

    def delete(self, tails: Sequence[Tail]) -> None:
        with self._errors():
            self._ready().delete(self.collection, filter=any_tail(tails), timeout=TIMEOUT)

    def nearest(
        self, vectors: FloatArray, limit: int, condition: Condition | None, words: Sequence[str] | None
    ) -> list[list[Hit]]:
        """One call for up to a thousand rows."""
        if limit > MAX_LIMIT:
            raise InvalidInput(f"limit is {limit}, Milvus finds {MAX_LIMIT:,} hits at most")
        allowed = "" if condition is None else expression(condition, self.layout.partition_key)
        found: list[list[Hit]] = []
        for start in range(0, len(vectors), QUERIES_AT_ONCE):
            part = slice(start, start + QUERIES_AT_ONCE)
            with self._errors():
                if words is None:
                    found += self._plain(vectors[part], limit, allowed)
                else:
                    found += self._fused(vectors[part], limit, allowed, words[part])
        return found

    def _plain(self, rows: FloatArray, limit: int, allowed: str) -> list[list[Hit]]:
        answer = self._ready().search(
            self.collection,
            list(rows),
            anns_field=VECTOR,
            limit=limit,
            filter=allowed,
            output_fields=OUTPUT_FIELDS,
            search_params={"metric_type": "COSINE", "params": {"ef": max(64, min(limit * 2, 32_768))}},
            timeout=TIMEOUT,
        )
        return [[to_hit(hit["distance"], hit["entity"]) for hit in hits] for hits in answer]

    def _fused(self, rows: FloatArray, limit: int, allowed: str, words: Sequence[str]) -> list[list[Hit]]:
        """Ranks fused by the engine; scores are cosines, computed here."""
        sides = [
            AnnSearchRequest(list(rows), VECTOR, {"metric_type": "COSINE"}, limit=limit, expr=allowed or None),
            AnnSearchRequest(list(words), WORDS, {"metric_type": "BM25"}, limit=limit, expr=allowed or None),
        ]
        answer = self._ready().hybrid_search(
            self.collection,
            sides,
            RRFRanker(RRF_K),
            limit=limit,
            output_fields=[*OUTPUT_FIELDS, VECTOR],
            timeout=TIMEOUT,
        )
        return [
            [to_hit(float(np.dot(np.asarray(hit["entity"][VECTOR], np.float32), row)), hit["entity"]) for hit in hits]
            for row, hits in zip(rows, answer, strict=True)
        ]

    def ids(self) -> Iterator[tuple[str, int]]:
        with self._errors():
            pages = self._ready().query_iterator(
                self.collection, batch_size=PAGE, output_fields=["document_id", "chunk"], timeout=TIMEOUT
            )
        try:
            while True:
                with self._errors():
                    rows = pages.next()
                if not rows:
                    return
                for row in rows:
                    yield row["document_id"], int(row["chunk"])
        finally:
            pages.close()

    def count(self) -> int:
        with self._errors():
            rows = self._ready().query(
                self.collection, output_fields=["count(*)"], consistency_level="Strong", timeout=TIMEOUT
            )
        return int(rows[0]["count(*)"])

    def settle(self) -> None:
        """Seal what was written: Milvus Lite searches an unflushed segment ten times slower."""
        with self._errors():
            self.client.flush(self.collection, timeout=TIMEOUT)

    def point_alias(self, alias: str) -> None:
        with self._errors():
            if not self.client.has_collection(alias, timeout=TIMEOUT):
                self.client.create_alias(self.collection, alias, timeout=TIMEOUT)
                return
            if self.client.describe_collection(alias, timeout=TIMEOUT)["collection_name"] == alias:
                raise StoreError(f"{alias!r} is a collection, so it cannot be an alias")
            self.client.alter_alias(self.collection, alias, timeout=TIMEOUT)

    def close(self) -> None:
        let_go, self._let_go = self._let_go, lambda: None
        let_go()

    def _describe(self) -> dict[str, Any]:
        with self._errors():
            return dict(self.client.describe_collection(self.collection, timeout=TIMEOUT))

    def _ready(self) -> MilvusClient:
        """The client, with the collection in memory: after a restart it is not."""
        if not self._loaded:
            self.client.load_collection(self.collection, timeout=TIMEOUT)
            self._loaded = True
        return self.client

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say what the client's error means for the collection, and keep its own traceback out of the log."""
        where = f"collection {self.collection!r}"
        with quiet():
            try:
                yield
            except StoreError:
                raise
            except MilvusException as error:
                raise self._meaning(where, error) from error
            except (ConnectionError, TimeoutError) as error:
                raise StoreBusy(f"{where}: the server cannot be reached: {error}") from error

    def _meaning(self, where: str, error: MilvusException) -> StoreError:
        message = f"{where}: {error.message or error} (code {error.code})"
        if error.code == NOT_FOUND:
            return StoreNotFound(message)
        if error.code in BUSY_CODES or "UNAVAILABLE" in message or "DEADLINE_EXCEEDED" in message:
            self._loaded = False
            return StoreBusy(message, absent="Fail connecting" in message)
        return StoreError(message)
