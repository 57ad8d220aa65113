"""A collection behind a `MilvusClient`, be it a server or Milvus Lite. The contract is a property of the collection."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract, check_vector
from ..disk import TO_DELETE, TO_WRITE, check_room, room_to_write
from ..documents import Chunk, Document, Hit
from ..errors import ContractMissing, ServerTooOld, StoreBusy, StoreError, StoreNotFound, not_adoptable
from ..filters import Condition
from ..fusion import Words
from ..limits import WriteLimits
from ..store import Store, Stored, StoredVector
from ..stored_chunk import stored_chunk
from .answers import in_parts
from .convert import OUTPUT_FIELDS, partition_of, to_row
from .errors import NOT_LOADED, store_errors
from .filters import expression
from .key_ranges import random_ranges
from .schema import (
    FIELDS,
    MAX_TERMS,
    MAX_VARCHAR,
    VECTOR,
    WRITER_PROPERTY,
    MilvusLayout,
    collection_schema,
    field_names,
    foreign_fields,
    forgets,
    index_fields,
    index_params,
    lacks,
    layout_of,
    properties,
    stored_contract,
    stored_layout,
    vector_size,
)
from .search import MAX_LIMIT, TIMEOUT, Query, Search

from pymilvus import MilvusClient, MilvusException, SegmentState  # isort: skip  # schema says what is missing

PAGE = 1000
INDEX_SECONDS = 60.0
"""How long an ingest waits for the index of what it wrote."""
LOAD_SECONDS = 30.0
"""How long it then waits until searches use that index."""
POLL_SECONDS = 0.2

Result = TypeVar("Result")


class MilvusStore(Store):
    """A collection with a row for each chunk and cosine similarity."""

    new_layout: MilvusLayout
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
        on_close: Callable[[], None] = lambda: None,
        folder: Path | None = None,
    ) -> None:
        """`layout` is that of a new collection; `on_close` is called once, when the store is closed.

        `folder` is where Milvus Lite keeps its data, None for a server.
        """
        self._folder = folder
        self.client, self.collection, self.new_layout = client, collection, layout
        self._journal, self._on_close, self._loaded = journal, on_close, False
        self._deleted: set[str] = set()
        """Primary keys that this ingest deleted, on a server that may forget it."""

    @property
    def journal_file(self) -> Path:
        return self._journal

    def read(self) -> Stored | None:
        try:
            description = self._describe()
        except StoreNotFound:
            return None
        contract = stored_contract(description, self.collection)
        if contract is None:
            raise ContractMissing(self.collection)
        return Stored(contract, stored_layout(description, self.collection), str(description["collection_name"]))

    def writer(self) -> str | None:
        token = (self._describe().get("properties") or {}).get(WRITER_PROPERTY)
        return None if token is None else str(token)

    def set_writer(self, token: str) -> None:
        """An ingest begins: what was deleted before it may have been written again, by others too."""
        self._deleted.clear()
        with self._errors():
            self.client.alter_collection_properties(self.collection, {WRITER_PROPERTY: token}, timeout=TIMEOUT)

    def create(self, contract: EmbeddingContract) -> None:
        """Make the collection with its contract, then its index. After a kill in between, `_ready` does the rest."""
        self._check_room(TO_WRITE)
        with self._errors():
            if not self.client.has_collection(self.collection, timeout=TIMEOUT):
                self._create_collection(contract)
            self._ready()

    def _create_collection(self, contract: EmbeddingContract) -> None:
        version = self.client.get_server_version(timeout=TIMEOUT)
        if lacking := lacks(version, self.new_layout):
            raise ServerTooOld(f"collection {self.collection!r}: Milvus {version} {lacking}; nothing was made")
        try:
            self.client.create_collection(
                self.collection,
                schema=collection_schema(contract, self.new_layout),
                properties=properties(contract, self.new_layout),
                consistency_level="Session",
                timeout=TIMEOUT,
            )
        except MilvusException:
            if not self.client.has_collection(self.collection, timeout=TIMEOUT):
                raise

    def check_adoptable(self, contract: EmbeddingContract) -> None:
        description, where = self._describe(), f"collection {self.collection!r}"
        missing = [name for name in FIELDS if name not in field_names(description)]
        if missing:
            raise not_adoptable(where, f"it has no field {', '.join(missing)}, and fields cannot be added to it")
        if foreign := foreign_fields(description, collection_schema(contract, MilvusLayout())):
            raise not_adoptable(where, ", ".join(foreign))
        with self._errors():
            index = self._index()
        if not index:
            raise not_adoptable(where, f"it has no index of {VECTOR!r}")
        check_vector(self.collection, vector_size(description), str(index["metric_type"]), contract)

    def sample(self, limit: int, where: Condition | None = None) -> list[StoredVector]:
        """Without `where`: rows of random ranges of keys, as most are UUIDs. Then any rows, if those are too few."""
        rows: dict[str, StoredVector] = {}

        def take(allowed: str, most: int) -> None:
            for row in self._call(partial(self._with_vectors, allowed, most)):
                rows[row["id"]] = (stored_chunk(row["id"], row), np.asarray(row[VECTOR], np.float32))

        if where is None and (count := self.count()) > limit:
            for allowed in random_ranges(limit, count):
                if len(rows) < limit:
                    take(allowed, limit)
        if len(rows) < limit:
            take("" if where is None else expression(where), limit)
        return list(rows.values())[:limit]

    def _with_vectors(self, allowed: str, limit: int, client: MilvusClient) -> list[dict[str, Any]]:
        return list(
            client.query(
                self.collection,
                filter=allowed,
                output_fields=[*OUTPUT_FIELDS, "id", VECTOR],
                limit=limit,
                consistency_level="Strong",
                timeout=TIMEOUT,
            )
        )

    def adopt(self, contract: EmbeddingContract) -> None:
        self.check_adoptable(contract)
        with self._errors():
            index = self._index()
        layout = layout_of(self._describe(), str(index["index_type"]), self.new_layout)
        with self._errors():
            self.client.alter_collection_properties(self.collection, properties(contract, layout), timeout=TIMEOUT)

    def check_storable(self, document: Document, layout: MilvusLayout) -> None:
        if layout.partition_key:
            partition_of(document.id, document.metadata, layout.partition_key)

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: MilvusLayout) -> None:
        self._check_room(room_to_write(chunks, vectors.shape[1]))
        rows = [to_row(chunk, vector, layout.partition_key) for chunk, vector in zip(chunks, vectors, strict=True)]
        self._deleted.difference_update(row["id"] for row in rows)
        self._call(lambda client: client.upsert(self.collection, rows, timeout=TIMEOUT))

    def delete(self, where: Condition) -> None:
        """Delete by primary keys, until no row is left.

        Given an expression, a server deletes the rows that it sees, and it may see a state that is seconds old.
        """
        self._check_room(TO_DELETE)
        deleted: list[str] = []
        while keys := self._keys(where):
            if keys == deleted:
                raise StoreBusy(
                    f"collection {self.collection!r}: Milvus still shows {len(keys):,} rows that it deleted"
                )
            self._delete_keys(keys)
            deleted = keys

    def _delete_keys(self, keys: list[str]) -> None:
        self._call(lambda client: client.delete(self.collection, ids=keys, timeout=TIMEOUT))
        if self._forgets:
            self._deleted.update(keys)

    def _keys(self, where: Condition) -> list[str]:
        """Primary keys of rows for which `where` holds, as many as one answer takes."""
        rows = self._call(
            lambda client: client.query(
                self.collection,
                filter=expression(where),
                output_fields=["id"],
                limit=MAX_LIMIT,
                consistency_level="Strong",
                timeout=TIMEOUT,
            )
        )
        return sorted(row["id"] for row in rows)

    def nearest(
        self,
        vectors: FloatArray,
        limit: int,
        condition: Condition | None,
        words: Words | None,
        stored: Stored,
    ) -> list[list[Hit]]:
        """One call for all rows, or several if the answers would be large.

        By an alias, servers may search what it named before, for as long as nobody moves it again: a search that comes
        while it moves puts the old name into their cache. So the collection is asked by its own name.
        """
        if limit > MAX_LIMIT:
            raise InvalidInput(f"limit is {limit}, Milvus finds {MAX_LIMIT:,} hits at most")
        layout, name = cast(MilvusLayout, stored.layout), stored.collection or self.collection
        allowed = "" if condition is None else expression(condition, layout.partition_key)
        texts: Sequence[str | None] = words.texts if words else [None] * len(vectors)
        queries = list(map(Query, vectors, texts))
        fusion, weight = (words.fusion, words.weight) if words else (None, 0.0)
        search = Search(self._call, name, limit, allowed, fusion, weight)
        answers: list[list[Hit]] = []
        for start in range(0, len(queries), search.queries_at_once):
            answers += in_parts(search.hits, queries[start : start + search.queries_at_once])
        return answers

    def ids(self) -> Iterator[tuple[str, int]]:
        pages = self._call(
            lambda client: client.query_iterator(
                self.collection,
                batch_size=PAGE,
                output_fields=["document_id", "chunk"],
                consistency_level="Strong",
                timeout=TIMEOUT,
            )
        )
        try:
            while rows := self._call(lambda _: pages.next()):
                for row in rows:
                    yield row["document_id"], int(row["chunk"])
        finally:
            pages.close()

    def count(self) -> int:
        rows = self._call(
            lambda client: client.query(
                self.collection, output_fields=["count(*)"], consistency_level="Strong", timeout=TIMEOUT
            )
        )
        return int(rows[0]["count(*)"])

    def settle(self) -> None:
        """Seal what was written and wait for its index. Without one, searches are slow, and on servers they miss hits.

        The count waits until every process sees what was written here. Searches see other processes' writes later.
        """
        self._call(lambda client: client.flush(self.collection, timeout=TIMEOUT))
        self.count()
        self._delete_again()
        if not self._rows_without_index():
            return
        if rows := _wait_until_none(self._rows_without_index, INDEX_SECONDS):
            warnings.warn(
                f"collection {self.collection!r}: Milvus still has {rows:,} rows to index after {INDEX_SECONDS:.0f} s; "
                "until they are, searches miss hits",
                stacklevel=2,
            )
        else:
            _wait_until_none(self._rows_not_loaded, LOAD_SECONDS)

    def _delete_again(self) -> None:
        """On Milvus 2.3: delete the rows of this run once more, when all that was flushed is loaded.

        Some seconds after a flush, the server loads the flushed rows, and from then on it searches these. Of deletions
        that came meanwhile it may miss some: see `schema.forgets`.
        """
        if not self._deleted:
            return
        _wait_until_none(self._segments_not_loaded, LOAD_SECONDS)
        keys = sorted(self._deleted)
        for start in range(0, len(keys), MAX_LIMIT):
            self._delete_keys(keys[start : start + MAX_LIMIT])
        self._deleted.clear()

    @cached_property
    def _forgets(self) -> bool:
        with self._errors():
            return forgets(self.client.get_server_version(timeout=TIMEOUT))

    def _segments_not_loaded(self) -> int:
        """Flushed segments that searches do not use yet."""
        with self._errors():
            flushed = self.client.list_persistent_segments(self.collection, timeout=TIMEOUT)
            loaded = self.client.list_loaded_segments(self.collection, timeout=TIMEOUT)
        ids = {segment.segment_id for segment in flushed if segment.state == SegmentState.Flushed}
        return len(ids - {segment.segment_id for segment in loaded if segment.state == SegmentState.Sealed})

    def _check_room(self, needed: int) -> None:
        """Servers look after their own disk."""
        if self._folder is not None:
            check_room(self._folder, needed)

    def _rows_without_index(self) -> int:
        with self._errors():
            return int(self._index().get("pending_index_rows", 0))

    def _rows_not_loaded(self) -> int:
        """Sealed rows that searches do not yet find with the index."""
        with self._errors():
            segments = self.client.list_loaded_segments(self.collection, timeout=TIMEOUT)
            loaded = sum(int(segment.num_rows) for segment in segments if segment.state == SegmentState.Sealed)
            rows = int(self._index()["total_rows"])
        return max(0, rows - loaded)

    def _index(self) -> dict[str, Any]:
        return dict(self.client.describe_index(self.collection, VECTOR, timeout=TIMEOUT))

    def point_alias(self, alias: str) -> None:
        with self._errors():
            if not self.client.has_collection(alias, timeout=TIMEOUT):
                self.client.create_alias(self.collection, alias, timeout=TIMEOUT)
                return
            if self.client.describe_collection(alias, timeout=TIMEOUT)["collection_name"] == alias:
                raise StoreError(f"{alias!r} is a collection, so it cannot be an alias")
            self.client.alter_alias(self.collection, alias, timeout=TIMEOUT)

    def real_name(self) -> str:
        with self._errors():
            if not self.client.has_collection(self.collection, timeout=TIMEOUT):
                return self.collection
        return str(self._describe()["collection_name"])

    def drop(self) -> None:
        with self._errors():
            self.client.drop_collection(self.collection, timeout=TIMEOUT)

    def close(self) -> None:
        on_close, self._on_close = self._on_close, lambda: None
        on_close()

    def _describe(self) -> dict[str, Any]:
        with self._errors():
            return dict(self.client.describe_collection(self.collection, timeout=TIMEOUT))

    def _ready(self) -> MilvusClient:
        """The client, with the collection indexed and in memory.

        After a restart a collection is not loaded. If its maker was killed, it has no index yet. The collection itself
        says which indexes it must have.
        """
        if not self._loaded:
            layout = stored_layout(self._describe(), self.collection)
            for field in index_fields(layout):
                if not self.client.list_indexes(self.collection, field, timeout=TIMEOUT):
                    self._create_index(index_params(layout, field), field)
            self.client.load_collection(self.collection, timeout=TIMEOUT)
            self._loaded = True
        return self.client

    def _create_index(self, params: Any, field: str) -> None:
        try:
            self.client.create_index(self.collection, params, timeout=TIMEOUT)
        except MilvusException:
            if not self.client.list_indexes(self.collection, field, timeout=TIMEOUT):
                raise

    def _call(self, request: Callable[[MilvusClient], Result]) -> Result:
        """Call `request` with the collection loaded. Do it again if somebody released it, or the server restarted."""
        with self._errors():
            try:
                return request(self._ready())
            except MilvusException as error:
                if error.code != NOT_LOADED:
                    raise
            self._loaded = False
            return request(self._ready())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """As `store_errors`. If the server was away, it may have restarted: the collection is not in memory then."""
        try:
            with store_errors(self.collection):
                yield
        except StoreBusy:
            self._loaded = False
            raise


def _wait_until_none(rows: Callable[[], int], seconds: float) -> int:
    """Wait until `rows` is 0, for at most `seconds`. Return what is left."""
    until = time.monotonic() + seconds
    while (left := rows()) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return left
