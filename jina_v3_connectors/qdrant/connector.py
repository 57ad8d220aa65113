"""`QdrantConnector`: a collection in a folder, or on a server."""

from __future__ import annotations

import os
from base64 import b64encode
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jina_v3_encoder.address import server_address
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import LateChunking

from ..adoption import Adopt
from ..chunking import Chunker
from ..connector import VectorConnector, check_collection_name
from ..store import Store
from .layout import QdrantLayout

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

TIMEOUT = 60
"""Seconds. The client's own 5 are too few for a batch that the server indexes at once."""


class QdrantConnector(VectorConnector):
    """A Qdrant collection: embedded in a folder with `path`, or wherever a `QdrantClient` points."""

    def __init__(
        self,
        encoder: TextEncoder,
        collection: str,
        *,
        path: str | Path | None = None,
        client: QdrantClient | None = None,
        url: str | None = None,
        layout: QdrantLayout | None = None,
        hybrid: bool = False,
        dimensions: int | None = None,
        late_chunking: LateChunking | None = None,
        chunker: Chunker | None = None,
        window: int | None = None,
        overlap: int | None = None,
        adopt: Adopt = False,
    ) -> None:
        """As `VectorConnector`, plus one of `path`, `client` and `url`.

        Args:
            encoder, collection: As `VectorConnector`. `collection` may be an alias.
            path: The folder that holds embedded collections; it is made on the first ingest.
            client: A `qdrant_client.QdrantClient`, for a server or in memory. It stays open when this is closed.
            url: A server, as `http://localhost:6333`; the API key comes from $QDRANT_API_KEY, a user and password of a
                proxy may stand in it.
            layout: How a new collection is stored. An ingest into an existing one is refused if it has other options.
            hybrid: Short for `layout=QdrantLayout(hybrid=True)`.
            dimensions, late_chunking, chunker, window, overlap, adopt: As `VectorConnector`.

        Raises:
            InvalidInput: none or several of `path`, `client` and `url`, or both `layout` and `hybrid`.
        """
        if hybrid and layout is not None:
            raise InvalidInput("pass hybrid inside the layout: QdrantLayout(hybrid=True, …)")
        plan = layout or QdrantLayout(hybrid=hybrid)
        super().__init__(
            encoder,
            collection,
            partial(qdrant_store, collection, path=path, client=client, url=url, layout=plan),
            dimensions=dimensions,
            late_chunking=late_chunking,
            chunker=chunker,
            window=window,
            overlap=overlap,
            adopt=adopt,
        )


def qdrant_store(
    collection: str,
    *,
    layout: QdrantLayout,
    path: str | Path | None = None,
    client: QdrantClient | None = None,
    url: str | None = None,
) -> Store:
    """The store of one of `path`, `client` and `url`."""
    check_collection_name(collection)
    if sum(given is not None for given in (path, client, url)) != 1:
        raise InvalidInput(
            "pass one of path='./folder' for embedded collections, client=QdrantClient(...) and url='http://host:6333'"
        )
    if path is not None:
        from .embedded import EmbeddedStore

        return EmbeddedStore(path, collection, layout)
    from .server import ServerStore

    if client is not None:
        return ServerStore(client, collection, layout)
    return ServerStore(connect(str(url)), collection, layout, owned=True)


def connect(url: str) -> QdrantClient:
    """A client for a server, with the key from the environment and a long timeout.

    Raises:
        InvalidInput: no address of a server.
    """
    from qdrant_client import QdrantClient

    address = server_address(url)
    headers: dict[str, str] = {}
    if address.login is not None:
        headers["Authorization"] = f"Basic {b64encode(':'.join(address.login).encode()).decode()}"
    key = os.environ.get("QDRANT_API_KEY")
    try:
        return QdrantClient(url=address.url, api_key=key, headers=headers, timeout=TIMEOUT, check_compatibility=False)
    except ValueError as error:
        raise InvalidInput(f"{address.url}: {error}") from error
