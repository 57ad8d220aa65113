"""New vectors as a second named vector of a Qdrant collection, beside the old ones. Payloads stay untouched.

The collection may be ours or anybody's. In one of ours a document is all its chunks, so it can be read as a whole, and
a switch changes the contract and the vector's name in the collection's metadata, by one request. In one of others each
point is a text of its own, and its application names the vector that it searches.

What says of itself how the new vectors are made is the collection's metadata; see `qdrant.metadata`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from itertools import islice
from typing import Any, cast

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import DEFAULT_RETRY, with_retries
from jina_v3_encoder.vectors import FloatArray

from ..backends import find_location, shown_url
from ..connector import VectorConnector
from ..contract import EmbeddingContract
from ..documents import Chunk, Hit
from ..errors import StoreError, StoreNotFound
from ..filters import CHUNK, DOCUMENT_ID, Condition
from ..fusion import Words
from ..qdrant.connector import connect
from ..qdrant.layout import QdrantLayout
from ..qdrant.metadata import KEYS, WRITER_KEY, beside, entries, layout_in, of_vector, searched
from ..qdrant.server import PAGE, ServerStore
from ..store import Stored
from ..stored_chunk import to_hit
from ..vectors import shortest
from .changes import Changes
from .qdrant_gaps import Gaps
from .second_vector import SecondVector, documents_named, no_name
from .sources.open import open_source
from .sources.qdrant import point_id
from .sources.qdrant_server import server_reader
from .spec import MigrationSpec, column_of
from .state import MigrationState

from qdrant_client import QdrantClient, models  # isort: skip  # ..qdrant.server says what is missing

from ..qdrant.errors import client_errors
from ..qdrant.remote import FILTERS

LEAST_VERSION = (1, 18)
"""Of a server that can be given a new vector name."""
INSTEAD = "give --to and --into, a new collection"
LOOKED_AT = 100
"""Points of a collection of ours whose ids are checked before a move."""


class QdrantVector(SecondVector):
    """The new vector. Points that have it are its chunks."""

    kind = "named vector"
    write_limits = ServerStore.write_limits

    def __init__(self, client: QdrantClient, spec: MigrationSpec, *, to_new: bool = True, owned: bool = False) -> None:
        """The client is closed here if it is `owned`.

        Raises:
            StoreError: there is no such collection.
        """
        self._client, self._spec, self._to_new = client, spec, to_new
        self._store = ServerStore(client, spec.source_collection, QdrantLayout(), owned=owned)
        self._collection, self._old, self._new = spec.source_collection, spec.fields.vector or "", column_of(spec)
        self._has_new = models.HasVectorCondition(has_vector=self._new)
        self._is_ours = searched(self._metadata(), self._collection) is not None

    @property
    def where(self) -> str:
        return f"collection {self._collection!r}"

    @property
    def filled(self) -> str | None:
        return None if self.read() is None else self._new

    def read(self) -> Stored | None:
        if self._new not in self._names():
            return None
        stored = of_vector(self._metadata(), self._new, self._collection)
        if stored is None:
            raise StoreError(
                f"{self.where} has a vector {self._new!r} that no move made: name a new one with --in-place, or delete "
                "it first"
            )
        return stored

    def writer(self) -> str | None:
        token = (self._metadata() or {}).get(self._writer_key())
        return None if token is None else str(token)

    def set_writer(self, token: str) -> None:
        self._say({self._writer_key(): token})

    def create(self, contract: EmbeddingContract) -> None:
        """The metadata first: a vector that nothing is said of would be somebody else's."""
        layout = QdrantLayout(vector=self._new)
        if self._is_ours:
            layout = replace(layout_in(self._metadata(), self._collection), vector=self._new, slices=())
        elif self._params()[self._old].datatype == models.Datatype.FLOAT16:
            layout = replace(layout, datatype="float16")
        self._say(entries(contract, layout, beside(self._new)))
        if self._new not in self._names():
            config = models.DenseVectorConfig(
                size=contract.dimensions,
                distance=models.Distance.COSINE,
                datatype=models.VectorStorageDatatype(layout.datatype),
            )
            with self._errors():
                self._client.create_vector_name(
                    self._collection, self._new, models.DenseVectorNameConfig(dense=config), wait=True
                )

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: QdrantLayout) -> None:
        """Points that are gone are left out: the server writes all others, and then says that one is not there."""
        points = [
            models.PointVectors(id=self._point_id(chunk), vector={self._new: shortest(row)})
            for chunk, row in zip(chunks, vectors, strict=True)
        ]
        try:
            with self._errors():
                self._client.update_vectors(self._collection, points, wait=True)
        except StoreNotFound:
            self._names()  # raises where the whole collection is gone

    def delete(self, where: Condition) -> None:
        """Removes the new vector from points. Most of them are gone already."""
        if self._new not in self._names():
            return
        allowed = FILTERS.filter(where) if self._is_ours else None
        if allowed is None:
            ids: list[Any] = [point_id(key) for key in documents_named(where)]
            if not ids:
                return
            allowed = models.Filter(must=[models.HasIdCondition(has_id=ids)])
        with self._errors():
            self._client.delete_vectors(self._collection, [self._new], models.FilterSelector(filter=allowed), wait=True)

    def ids(self) -> Iterator[tuple[str, int]]:
        for _, document, number in self._scroll(models.Filter(must=[self._has_new])):
            yield document, number

    def count(self) -> int:
        with self._errors():
            chosen = models.Filter(must=[self._has_new])
            return self._client.count(self._collection, chosen, exact=True).count

    def nearest(
        self, vectors: FloatArray, limit: int, condition: Condition | None, words: Words | None, stored: Stored
    ) -> list[list[Hit]]:
        if not self._is_ours:
            return super().nearest(vectors, limit, condition, words, stored)
        return self._store.nearest(vectors, limit, condition, words, stored)

    def changes(self, target: VectorConnector, state: MigrationState) -> list[Changes]:
        return [Gaps(self, target, state)]

    def lacking(self) -> Iterator[tuple[str, str]]:
        """(key, document) of each point that has no new vector."""
        if self._new not in self._names():
            return
        for key, document, _ in self._scroll(models.Filter(must_not=[self._has_new])):
            yield key, document

    def present(self, keys: Sequence[str]) -> set[str]:
        """Those of some points that are there."""
        remaining, there = iter(keys), set()
        while part := [point_id(key) for key in islice(remaining, PAGE)]:
            with self._errors():
                records = self._client.retrieve(self._collection, part, with_payload=False, with_vectors=False)
            there |= {str(record.id) for record in records}
        return there

    def point_alias(self, alias: str) -> None:
        """Let searches of our connectors read the new vector, or the old one again. `alias` is the old one's name.

        One request changes contract and vector: a search reads both together.

        Raises:
            StoreError: it is no name of the old vector, that is gone, or the collection is not ours.
        """
        if alias != self._old:
            raise StoreError(f"the name to switch is that of the old vector, {self._old!r}, not {alias!r}")
        if not self._is_ours:
            raise StoreError(no_name(self._spec))
        with_retries(self._point, DEFAULT_RETRY)

    def _point(self) -> None:
        metadata = self._metadata() or {}
        now, wanted = searched(metadata, self._collection), self._new if self._to_new else self._old
        assert now is not None
        live = layout_in(metadata, self._collection)
        if live.vector == wanted:
            return
        stored = of_vector(metadata, wanted, self._collection)
        if stored is None or wanted not in self._names():
            raise StoreError(f"{self.where} has no vector {wanted!r} any more, so searches stay with {live.vector!r}")
        kept = beside(live.vector)
        self._say(
            {
                **entries(now.contract, live, kept),
                WRITER_KEY + kept: metadata.get(WRITER_KEY),
                **entries(stored.contract, cast(QdrantLayout, stored.layout)),
                WRITER_KEY: metadata.get(WRITER_KEY + beside(wanted)),
            }
        )

    def real_name(self) -> str:
        """That of the new vectors, where searches read them."""
        return self._spec.target_collection if self._is_switched() else self._old

    def check_droppable(self) -> str:
        if self._is_ours and self._is_switched() == self._to_new:
            raise StoreError(
                f"the vector {self._new if self._to_new else self._old!r} of {self.where} is what searches read, so it "
                f"is not dropped: {'roll back first' if self._to_new else 'switch first'}"
            )
        return self._new if self._to_new else self._old

    def drop(self) -> None:
        """Of one of ours, with its slices."""
        name = self.check_droppable()
        stored = of_vector(self._metadata(), name, self._collection)
        names = (
            [name] if stored is None else [name, *(stage for stage, _ in cast(QdrantLayout, stored.layout).funnel(1))]
        )
        for vector in self._names() & set(names):
            with self._errors():
                self._client.delete_vector_name(self._collection, vector, wait=True)
        self._say({key + beside(name): None for key in KEYS})

    def close(self) -> None:
        self._store.close()

    @property
    def after_switch(self) -> str:
        return (
            f"searches of {self._collection} read the vector {self._new} with its model. Whoever writes there uses the "
            f"new model from now on: points get no {self._old} any more"
        )

    @property
    def after_rollback(self) -> str:
        return (
            f"searches of {self._collection} read the vector {self._old} with its model again; points written since "
            "the switch have none"
        )

    def _point_id(self, chunk: Chunk) -> Any:
        return str(chunk.id) if self._is_ours else point_id(chunk.document_id)

    def _is_switched(self) -> bool:
        """Whether our connectors read the new vector."""
        return self._is_ours and layout_in(self._metadata(), self._collection).vector == self._new

    def _writer_key(self) -> str:
        return WRITER_KEY if self._is_switched() else WRITER_KEY + beside(self._new)

    def _scroll(self, chosen: models.Filter) -> Iterator[tuple[str, str, int]]:
        """(key, document, number) of some points."""
        offset: Any = None
        while True:
            with self._errors():
                records, offset = self._client.scroll(
                    self._collection,
                    chosen,
                    limit=PAGE,
                    offset=offset,
                    with_payload=[DOCUMENT_ID, CHUNK] if self._is_ours else False,
                )
            for record in records:
                key = str(record.id)
                if self._is_ours:
                    chunk = to_hit(record.id, 0.0, record.payload or {}).chunk
                    yield key, chunk.document_id, chunk.number
                else:
                    yield key, key, 0
            if offset is None:
                return

    def _params(self) -> dict[str, models.VectorParams]:
        with self._errors():
            return named_vectors(self._client.get_collection(self._collection))

    def _names(self) -> set[str]:
        return set(self._params())

    def _metadata(self) -> dict[str, Any] | None:
        with self._errors():
            return self._client.get_collection(self._collection).config.metadata

    def _say(self, values: dict[str, Any]) -> None:
        """Change some keys of the collection's metadata, at once."""
        with self._errors():
            self._client.update_collection(self._collection, metadata=values)

    def _errors(self) -> AbstractContextManager[None]:
        return client_errors(self._collection)


def named_vectors(info: models.CollectionInfo) -> dict[str, models.VectorParams]:
    """The dense vectors of a collection by name. None where its vector has no name."""
    vectors = info.config.params.vectors
    return dict(vectors) if isinstance(vectors, dict) else {}


def qdrant_vector(url: str, spec: MigrationSpec, *, to_new: bool) -> QdrantVector:
    """The store, with a client of its own."""
    client = connect(find_location(url)[1].address or "")
    try:
        return QdrantVector(client, spec, to_new=to_new, owned=True)
    except BaseException:
        client.close()
        raise


def in_place(url: str, spec: MigrationSpec) -> MigrationSpec:
    """`spec` with the old vector's name, for a new move.

    Raises:
        InvalidInput: settings that cannot be kept in place, or a name that is taken.
        StoreError: the server is too old, or the collection cannot get a second vector.
    """
    location, name, new = find_location(url)[1], spec.source_collection, column_of(spec)
    if spec.settings.rechunk_tokens is not None:
        raise InvalidInput(f"--in-place gives each point a new vector, so chunks stay: without --rechunk, or {INSTEAD}")
    client = connect(location.address or "")
    with closing(client), client_errors(name):
        version = client.info().version
        if _numbers(version) < LEAST_VERSION:
            raise StoreError(
                f"Qdrant {version} at {shown_url(url)} cannot give a collection a new vector name, which came with "
                f"{'.'.join(map(str, LEAST_VERSION))}: update the server, or {INSTEAD}"
            )
        info = client.get_collection(name)
    params = named_vectors(info)
    if not params:
        raise StoreError(
            f"the vectors of collection {name!r} have no name, and Qdrant gives such a collection no second vector: "
            f"{INSTEAD}"
        )
    if new in (info.config.params.sparse_vectors or {}):
        raise InvalidInput(f"--in-place {new} is a sparse vector of {name!r}: choose another name")
    with closing(server_reader(location.address or "", name, spec.fields.vector)) as reader:
        old, is_ours = reader.vector or "", reader.contract is not None
    if new == old:
        raise InvalidInput(f"--in-place {new} is the name of the old vector: choose another one")
    if is_ours:
        _check_ids(url, spec)
    elif spec.settings.late_chunking:
        raise InvalidInput(
            "--in-place gives each point of another project's collection a vector of its own text: leave "
            f"--late-chunking and --blend out, or {INSTEAD}"
        )
    named = replace(spec, fields=replace(spec.fields, vector=old))
    with closing(qdrant_vector(url, named, to_new=True)) as store:
        store.read()  # raises where somebody else made a vector of this name
    return named


def _check_ids(url: str, spec: MigrationSpec) -> None:
    """Refuse a collection of ours whose points have ids of others, as an adopted one may: none would be written."""
    with closing(open_source(url, spec.source_collection, spec.fields)) as source:
        for record in islice(source.records(vectors=False), LOOKED_AT):
            number = record.order or 0
            if record.document_id is None or str(Chunk(record.document_id, number, 0, 0, "").id) != record.key:
                raise StoreError(
                    f"point {record.key} of collection {spec.source_collection!r} has not the id of its chunk, so its "
                    f"vector could not be named: {INSTEAD}"
                )


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version, as of "1.18.0-dev"."""
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())
