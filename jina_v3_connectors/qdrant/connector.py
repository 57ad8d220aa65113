"""`QdrantConnector`: a collection in a folder, or on a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.protocol import TextEncoder

from ..connector import VectorConnector, check_collection_name
from ..store import Store

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


class QdrantConnector(VectorConnector):
    """A Qdrant collection: embedded in a folder with `path`, or wherever a `QdrantClient` points."""

    def __init__(
        self,
        encoder: TextEncoder,
        collection: str,
        *,
        path: str | Path | None = None,
        client: QdrantClient | None = None,
        **settings: Any,
    ) -> None:
        """As `VectorConnector`, plus one of `path` and `client`.

        Args:
            encoder, collection, settings: As `VectorConnector`.
            path: The folder that holds embedded collections; it is made on the first ingest.
            client: A `qdrant_client.QdrantClient`, for a server or in memory. It stays open when this is closed.

        Raises:
            InvalidInput: neither or both of `path` and `client`.
        """
        check_collection_name(collection)
        super().__init__(encoder, collection, _store(collection, path, client), **settings)


def _store(collection: str, path: str | Path | None, client: QdrantClient | None) -> Store:
    if (path is None) == (client is None):
        raise InvalidInput("pass either path='./folder' for embedded collections, or client=QdrantClient(...)")
    if client is not None:
        from .server import ServerStore

        return ServerStore(client, collection)
    from .embedded import EmbeddedStore

    return EmbeddedStore(path or ".", collection)
