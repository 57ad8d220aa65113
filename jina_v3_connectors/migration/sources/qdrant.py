"""Qdrant collections in a folder, read by the embedded engine. The engine locks the folder and writes its own log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from qdrant_edge import CountRequest, EdgeShard, ScrollRequest

from ...contract import EmbeddingContract
from ...disk import TO_OPEN, check_room
from ...errors import ContractMissing, StoreError, StoreNotFound
from ...qdrant.embedded import EmbeddedStore
from ...qdrant.errors import engine_errors
from ...qdrant.layout import VECTOR
from ...qdrant.schema import SHARD_FOLDER, named_folder, read_folder, shard_vectors
from .reading import PAGE, Row, as_vector, chosen_vector

UNNAMED = ""
"""What the engine calls the vector of a collection whose vectors have no names."""
USUAL = (VECTOR, UNNAMED, "text-dense")
"""Ours, the unnamed one, and that of LlamaIndex and Haystack."""


class EmbeddedReader:
    """A collection of the embedded engine, made by this project or not."""

    def __init__(self, path: Path, collection: str, vector: str | None, beside: EmbeddedStore | None = None) -> None:
        """`beside` is an open store of the same collection, whose shard is then read.

        Raises:
            StoreError: there is no collection, or the folder is of another kind.
        """
        if (path / "meta.json").exists() and (path / "collection").is_dir():
            raise StoreError(
                f"{path} was written by qdrant-client's local mode, whose files may run code when they are read: open "
                "it with QdrantClient(path=…), copy it to a server with its method migrate, and read it from there"
            )
        self.folder = named_folder(path, collection)
        self.title = str(self.folder)
        self.contract: EmbeddingContract | None = None
        with suppress(ContractMissing):
            stored = read_folder(self.folder)
            if stored is None:
                raise StoreNotFound(f"there is no collection {collection!r} in {path}")
            self.contract = stored.contract
        self._beside = beside
        self._shard: EdgeShard | None = None
        self._is_empty = not (self.folder / SHARD_FOLDER).exists()
        sizes = {} if self.contract is None else {VECTOR: self.contract.dimensions}
        if not self._is_empty:
            with self._errors():
                sizes = {name: size for name, (size, _) in shard_vectors(self.folder).items()}
        self._vector = chosen_vector(sizes, vector, USUAL, self.title)
        self.dimensions = None if self._vector is None else sizes[self._vector]

    def pages(self, after: str | None, *, vectors: bool) -> Iterator[Sequence[Row]]:
        offset: Any = None if after is None else point_id(after)
        while not self._is_empty:
            with self._errors():
                records, offset = self._open().scroll(
                    ScrollRequest(offset=offset, limit=PAGE, with_payload=True, with_vector=self._asked(vectors))
                )
            if rows := [row_of(record, self._vector) for record in records if str(record.id) != after]:
                yield rows
            if offset is None:
                return

    def rows(self, keys: Sequence[str], *, vectors: bool) -> list[Row]:
        if self._is_empty:
            return []
        with self._errors():
            ids: Any = [point_id(key) for key in keys]
            records = self._open().retrieve(ids, with_payload=True, with_vector=self._asked(vectors))
        return [row_of(record, self._vector) for record in records]

    def count(self) -> int:
        if self._is_empty:
            return 0
        with self._errors():
            return self._open().count(CountRequest(exact=True))

    def close(self) -> None:
        if self._shard is not None:
            with self._errors():
                self._shard.close()
            self._shard = None

    def _asked(self, vectors: bool) -> list[str] | bool:
        return [self._vector] if vectors and self._vector is not None else False

    def _open(self) -> EdgeShard:
        if self._beside is not None:
            return self._beside.shard()
        if self._shard is None:
            check_room(self.folder, TO_OPEN)
            self._shard = EdgeShard.load(str(self.folder / SHARD_FOLDER))
        return self._shard

    def _errors(self) -> AbstractContextManager[None]:
        return engine_errors(self.folder)


def point_id(key: str) -> int | str:
    """Qdrant's ids are whole numbers or UUIDs."""
    return int(key) if key.isdecimal() else key


def row_of(record: Any, vector: str | None) -> Row:
    """A record of the engine or of the client, which have the same fields."""
    values = record.vector
    if isinstance(values, Mapping):
        values = values.get(vector)
    return Row(str(record.id), record.payload or {}, as_vector(values))
