"""`PostgresConnector`: a table on a server, and the connections to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from jina_v3_encoder.address import without_userinfo
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.text_encoder import TextEncoder

from ..chunking import Chunker
from ..connector import VectorConnector, check_collection_name
from ..errors import StoreError
from ..store import Store
from .layout import PostgresLayout

if TYPE_CHECKING:
    from psycopg import Connection

DEFAULTS = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 60_000}
"""A server that went away without a word is noticed within a minute."""


class Pool(Protocol):
    """What is used of `psycopg_pool.ConnectionPool`."""

    def connection(self) -> AbstractContextManager[Connection[Any]]: ...


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
        late_chunking: bool | None = None,
        chunker: Chunker | None = None,
        window: int | None = None,
        overlap: int | None = None,
        adopt: bool = False,
    ) -> None:
        """As `VectorConnector`, plus one of `url` and `client`.

        Args:
            encoder, collection: As `VectorConnector`. `collection` may be an alias.
            url: As `postgresql://user@host:5432/database`; a password stands in it, in
                $PGPASSWORD, or in ~/.pgpass.
            client: A psycopg connection that nobody else uses meanwhile, or a pool. It stays open when this is closed.
            layout: How a new collection is stored; an existing one keeps its own.
            hybrid: Short for `layout=PostgresLayout(hybrid=True)`.
            dimensions, late_chunking, chunker, window, overlap, adopt: As `VectorConnector`.

        Raises:
            InvalidInput: none or both of `url` and `client`, or both `layout` and `hybrid`.
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
    """The store of one of `url` and `client`."""
    from .store import PostgresStore

    check_collection_name(collection)
    if (url is None) == (client is None):
        raise InvalidInput("pass one of url='postgresql://user@host/database' and client=psycopg.connect(...)")
    from psycopg import Connection

    if client is None or isinstance(client, Connection):
        return PostgresStore(OneConnection(url, client), collection, layout)
    return PostgresStore(client, collection, layout)


class OneConnection:
    """One connection, for one thread at a time; opened when it is needed, and again after it broke."""

    def __init__(self, url: str | None, client: Connection[Any] | None = None) -> None:
        """Raises InvalidInput for a URL that is none; it is not shown, for it may hold a password in any place."""
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        self._client, self._owned, self._lock = client, client is None, threading.RLock()
        try:
            self._conninfo = make_conninfo("", **{**DEFAULTS, **conninfo_to_dict(url or "")})
        except psycopg.Error:
            raise InvalidInput(
                f"{without_userinfo((url or '').partition('?')[0])!r} is no address of a database: write it as "
                "postgresql://user:password@host:5432/database, with special characters as %xx"
            ) from None

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        import psycopg

        with self._lock:
            if self._owned and (self._client is None or self._client.closed):
                self._client = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            if self._client is None or self._client.closed:
                raise StoreError("the connection passed as client is closed; pass url=, or a pool: both open new ones")
            yield self._client

    def let_go(self) -> None:
        with self._lock:
            if self._owned and self._client is not None:
                self._client.close()
