"""Qdrant collections on a server, whoever made them, with or without names for their vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from jina_v3_encoder.errors import MissingExtra

from ...qdrant.connector import connect
from ...qdrant.errors import client_errors
from ...qdrant.metadata import layout_in, of_vector, searched
from .qdrant import UNNAMED, USUAL, point_id, row_of
from .reading import PAGE, Row, chosen_vector

try:
    from qdrant_client import QdrantClient
except ImportError:
    raise MissingExtra("qdrant-client", "qdrant") from None


class ServerReader:
    """A collection of a server, or of a client's memory."""

    def __init__(self, client: QdrantClient, collection: str, vector: str | None, *, owned: bool = False) -> None:
        """The client is closed here if it is `owned`. Raises StoreError: there is no such collection."""
        self.title, self.collection = f"collection {collection!r}", collection
        self._client, self._owned = client, owned
        with self._errors():
            config = client.get_collection(collection).config
        params = config.params.vectors or {}
        named = params if isinstance(params, Mapping) else {UNNAMED: params}
        sizes = {name: kind.size for name, kind in named.items() if kind.multivector_config is None}
        stored = searched(config.metadata, collection)
        usual = (layout_in(config.metadata, collection).vector, *USUAL)
        self.vector = chosen_vector(sizes, vector, usual, self.title)
        if stored is not None and self.vector is not None:
            stored = of_vector(config.metadata, self.vector, collection) or stored
        self.contract = None if stored is None else stored.contract
        self.dimensions = None if self.vector is None else sizes[self.vector]

    def pages(self, after: str | None, *, vectors: bool) -> Iterator[Sequence[Row]]:
        offset: Any = None if after is None else point_id(after)
        asked = self._asked(vectors)
        while True:
            with self._errors():
                records, offset = self._client.scroll(
                    self.collection, limit=PAGE, offset=offset, with_payload=True, with_vectors=asked
                )
            if rows := [row_of(record, self.vector) for record in records if str(record.id) != after]:
                yield rows
            if offset is None:
                return

    def rows(self, keys: Sequence[str], *, vectors: bool) -> list[Row]:
        ids = [point_id(key) for key in keys]
        with self._errors():
            records = self._client.retrieve(self.collection, ids, with_payload=True, with_vectors=self._asked(vectors))
        return [row_of(record, self.vector) for record in records]

    def count(self) -> int:
        with self._errors():
            return self._client.count(self.collection, exact=True).count

    def close(self) -> None:
        if self._owned:
            self._client.close()

    def _asked(self, vectors: bool) -> list[str] | bool:
        if not vectors or self.vector is None:
            return False
        return [self.vector] if self.vector else True

    def _errors(self) -> AbstractContextManager[None]:
        return client_errors(self.collection)


def server_reader(url: str, collection: str, vector: str | None) -> ServerReader:
    """A reader with a client of its own."""
    client = connect(url)
    try:
        return ServerReader(client, collection, vector, owned=True)
    except BaseException:
        client.close()
        raise
