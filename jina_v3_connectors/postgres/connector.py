"""`PostgresConnector`: a table on a server."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import LateChunking

from ..adoption import Adopt
from ..chunking import Chunker
from ..connector import VectorConnector, check_collection_name
from ..store import Store
from .connections import OneConnection, Pool
from .layout import PostgresLayout

if TYPE_CHECKING:
    from psycopg import Connection


class PostgresConnector(VectorConnector):
    """A collection in a table of its own, in the first schema of the connection's search_path."""

    def __init__(
        self,
        encoder: TextEncoder,
        collection: str,
        *,
        url: str | None = None,
        client: Connection[Any] | Pool | None = None,
        layout: PostgresLayout | None = None,
        hybrid: bool = False,
        dimensions: int | None = None,
        late_chunking: LateChunking | None = None,
        chunker: Chunker | None = None,
        window: int | None = None,
        overlap: int | None = None,
        adopt: Adopt = False,
    ) -> None:
        """As `VectorConnector`, plus one of `url` and `client`.

        Args:
            encoder, collection: As `VectorConnector`. `collection` may be an alias.
            url: As `postgresql://user@host:5432/database`; a password stands in it, in
                $PGPASSWORD, or in ~/.pgpass.
            client: A psycopg connection that nobody else uses meanwhile, or a pool. It stays open when this is closed.
            layout: How a new collection is stored. An ingest into an existing one is refused if it has other options.
            hybrid: Short for `layout=PostgresLayout(hybrid=True)`.
            dimensions, late_chunking, chunker, window, overlap, adopt: As `VectorConnector`.

        Raises:
            InvalidInput: none or both of `url` and `client`, one of another type, or both `layout` and `hybrid`.
            MissingExtra: psycopg or pgvector is not installed.
        """
        if hybrid and layout is not None:
            raise InvalidInput("pass hybrid inside the layout: PostgresLayout(hybrid=True, …)")
        plan = layout or PostgresLayout(hybrid=hybrid)
        super().__init__(
            encoder,
            collection,
            partial(postgres_store, collection, url=url, client=client, layout=plan),
            dimensions=dimensions,
            late_chunking=late_chunking,
            chunker=chunker,
            window=window,
            overlap=overlap,
            adopt=adopt,
        )


def postgres_store(
    collection: str, *, layout: PostgresLayout, url: str | None = None, client: Connection[Any] | Pool | None = None
) -> Store:
    """The store of one of `url` and `client`.

    Raises:
        InvalidInput: none or both of them, or one of another type.
    """
    from .store import PostgresStore

    check_collection_name(collection)
    if (url is None) == (client is None):
        raise InvalidInput("pass one of url='postgresql://user@host/database' and client=psycopg.connect(...)")
    from psycopg import Connection

    if isinstance(url, str):
        connection = OneConnection(url)
        return PostgresStore(connection, collection, layout, connection.close)
    if isinstance(client, Connection):
        return PostgresStore(OneConnection(client=client), collection, layout)
    if client is not None and callable(getattr(client, "connection", None)):
        return PostgresStore(client, collection, layout)
    raise InvalidInput(
        f"got {type(url if client is None else client).__name__}: pass a str as url, as in "
        "'postgresql://user@host/database', or as client a psycopg.Connection or a pool, which has a method connection"
    )
