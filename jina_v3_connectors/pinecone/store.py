"""One namespace of a Pinecone index. The contract lies in the index's tags."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract, check_vector
from ..documents import Chunk, Hit
from ..errors import ContractMissing, StoreError, StoreNotFound, not_adoptable
from ..filters import Condition
from ..fusion import Words
from ..limits import WriteLimits
from ..store import Store, Stored, StoredVector, shared_journal
from ..stored_chunk import CHECKED_BEFORE_ADOPTING, stored_chunk, to_hit
from .errors import IndexExists, index_errors
from .filters import expression
from .planes import PAGE, PLANES, Plane
from .schema import (
    DEFAULT_NAMESPACE,
    RESERVED_VECTOR,
    VECTOR,
    WRITER_TAG,
    IndexKind,
    PineconeLayout,
    from_tags,
    index_arguments,
    stored_layout,
    to_tags,
)

from pinecone import Pinecone  # isort: skip  # errors says what is missing

MAX_LIMIT = 10_000
RANDOM_DIRECTIONS = 4
QUERIES_AT_ONCE = 8
CONTRACT_SECONDS = 60.0
"""How long searches use a contract that was read before. Describing an index is a request to another service."""
WRITER_SECONDS = 10.0
"""Seconds between two checks of the writer. Each is a request to that other service too."""
VISIBLE_SECONDS = 10.0
VISIBLE_PAUSE = 0.05
READY_SECONDS = 300


class PineconeStore(Store):
    """A namespace of a document index or of a vector index."""

    write_limits = WriteLimits(rows=1000, bytes=2 * 10**6 - 20_000, at_once=4, text_bytes=30_000, metadata_bytes=4_000)
    """A request takes 2 MB and 1,000 rows; a record 40 KB beside its vector, of which metadata is kept three times."""
    counts_after = VISIBLE_SECONDS
    writer_pause = WRITER_SECONDS

    def __init__(
        self,
        client: Pinecone,
        index: str,
        namespace: str,
        kind: IndexKind,
        location: tuple[str, str],
        *,
        owned: bool = False,
    ) -> None:
        """`kind` and `location` (cloud, region) are those of a new index. An `owned` client is closed here."""
        self._owned = owned
        self.client, self.name, self.partition = client, index, namespace
        self.new_kind, self.new_location = kind, location
        self._plane: Plane | None = None
        self._lock = threading.Lock()
        self._last_read: tuple[float, Stored] | None = None
        self._committed = 0

    @property
    def journal_file(self) -> Path:
        return shared_journal()

    def read(self) -> Stored | None:
        try:
            index = self._describe()
        except StoreNotFound:
            return None
        contract = from_tags(index.tags or {}, self.name)
        if contract is None:
            raise ContractMissing(self.name)
        stored = Stored(contract, stored_layout(index))
        self._last_read = (time.monotonic(), stored)
        return stored

    def read_recent(self) -> Stored | None:
        if self._last_read is not None:
            seconds, stored = self._last_read
            if time.monotonic() - seconds < CONTRACT_SECONDS:
                return stored
        return self.read()

    def writer(self) -> str | None:
        """The writer of the default namespace, in a tag of the index. It has no room for tags of other namespaces."""
        return (self._describe().tags or {}).get(WRITER_TAG) if self.partition == DEFAULT_NAMESPACE else None

    def set_writer(self, token: str) -> None:
        if self.partition == DEFAULT_NAMESPACE:
            with self._errors():
                self.client.indexes.configure(self.name, tags={WRITER_TAG: token})

    def create(self, contract: EmbeddingContract) -> None:
        arguments = index_arguments(contract, self.new_kind, *self.new_location)
        try:
            with self._errors():
                self.client.indexes.create(name=self.name, timeout=READY_SECONDS, **arguments)
        except IndexExists:
            return

    def check_adoptable(self, contract: EmbeddingContract) -> None:
        field = self._vector_field()
        check_vector(self.name, field.dimension, str(field.metric), contract)
        with self._errors():
            for name, stored in islice(self._open().fields(), CHECKED_BEFORE_ADOPTING):
                to_hit(name, 0.0, stored)

    def sample(self, limit: int, where: Condition | None = None) -> list[StoredVector]:
        """The nearest to random directions: these lie anywhere."""
        plane, names = self._open(), dict[str, None]()
        allowed = None if where is None else expression(where)
        directions = np.random.default_rng().standard_normal((RANDOM_DIRECTIONS, self._vector_field().dimension))
        for number, direction in enumerate(directions, 1):
            with self._errors():
                matches, _ = plane.search(direction.astype(np.float32), limit, allowed)
            fresh = [name for name, _, _ in matches if name not in names]
            names |= dict.fromkeys(fresh[: -(-limit * number // RANDOM_DIRECTIONS) - len(names)])
        records: list[StoredVector] = []
        chosen = list(names)
        for start in range(0, len(chosen), PAGE):
            with self._errors():
                part = plane.vectors(chosen[start : start + PAGE])
            records += [(stored_chunk(name, fields), vector) for name, fields, vector in part]
        return records

    def _vector_field(self) -> Any:
        """What the index says of its vector. Raises StoreError where it is not one that this project can search."""
        fields = self._describe().schema.fields
        if VECTOR not in fields and RESERVED_VECTOR not in fields:
            raise not_adoptable(f"index {self.name!r}", f"no vector {VECTOR!r} among {list(fields)}")
        return fields.get(VECTOR) or fields[RESERVED_VECTOR]

    def adopt(self, contract: EmbeddingContract) -> None:
        self.check_adoptable(contract)
        with self._errors():
            self.client.indexes.configure(self.name, tags=to_tags(contract))

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: PineconeLayout) -> None:
        plane = self._open()
        with self._errors():
            self._remember(plane.upsert(chunks, vectors))

    def delete(self, where: Condition) -> None:
        plane = self._open()
        try:
            with self._errors():
                self._remember(plane.delete(expression(where)))
        except StoreNotFound:
            return

    def nearest(
        self,
        vectors: FloatArray,
        limit: int,
        condition: Condition | None,
        words: Words | None,
        stored: Stored,
    ) -> list[list[Hit]]:
        """One request for each row, several at a time. Waits until this connector's own writes can be found."""
        if limit > MAX_LIMIT:
            raise InvalidInput(f"limit is {limit}, Pinecone finds {MAX_LIMIT:,} hits at most")
        allowed = None if condition is None else expression(condition)
        if len(vectors) == 1:
            return [self._one(vectors[0], limit, allowed)]
        with ThreadPoolExecutor(min(QUERIES_AT_ONCE, len(vectors)), "jina-v3-search") as pool:
            return list(pool.map(lambda row: self._one(row, limit, allowed), vectors))

    def _one(self, vector: FloatArray, limit: int, allowed: Mapping[str, Any] | None) -> list[Hit]:
        plane, until = self._open(), time.monotonic() + VISIBLE_SECONDS
        while True:
            with self._errors():
                matches, answer = plane.search(vector, limit, allowed)
            if self._visible(answer) or time.monotonic() > until:
                return [to_hit(*match) for match in matches]
            time.sleep(VISIBLE_PAUSE)

    def ids(self) -> Iterator[tuple[str, int]]:
        with self._errors():
            for name, fields in self._open().fields():
                chunk = to_hit(name, 0.0, fields).chunk
                yield chunk.document_id, chunk.number

    def count(self) -> int:
        plane = self._open()
        with self._errors():
            return plane.count()

    def real_name(self) -> str:
        return self.partition

    def drop(self) -> None:
        """The namespace's records. The index stays, with its contract: it may have other namespaces."""
        plane = self._open()
        try:
            with self._errors():
                self._remember(plane.clear())
        except StoreNotFound:
            return

    def close(self) -> None:
        with self._lock:
            if self._plane is not None:
                self._plane.index.close()
                self._plane = None
        if self._owned:
            self.client.close()

    def point_alias(self, alias: str) -> None:
        raise StoreError(
            f"Pinecone has no aliases, so no name can be moved: let your settings name the index {self.name!r} "
            f"(namespace {self.partition!r}) in place of the old one, and the old one again to go back. A version "
            "makes that one number: PineconeConnector(encoder, 'docs', version=2) works with docs-v2"
        )

    def _open(self) -> Plane:
        with self._lock:
            if self._plane is None:
                description = self._describe()
                plane = PLANES[stored_layout(description).kind]
                self._plane = plane(self.client.index(host=description.host), self.partition)
            return self._plane

    def _describe(self) -> Any:
        with self._errors():
            return self.client.indexes.describe(self.name)

    def _remember(self, answer: Any) -> None:
        """The log position of a write, if the service names it."""
        info = getattr(answer, "response_info", None)
        position = getattr(info, "lsn_committed", None)
        if position is not None:
            with self._lock:
                self._committed = max(self._committed, position)

    def _visible(self, answer: Any) -> bool:
        """False if the answer certainly lacks one of our writes."""
        info: Any = getattr(answer, "response_info", None)
        if not self._committed or getattr(info, "lsn_reconciled", None) is None:
            return True
        return bool(info.is_reconciled(self._committed))

    def _errors(self) -> AbstractContextManager[None]:
        """As `index_errors`, for this index."""
        return index_errors(self.name)
