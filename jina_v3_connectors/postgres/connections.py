"""Connections to a server: one that opens again after it broke, or the caller's pool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from jina_v3_encoder.address import scheme_alone
from jina_v3_encoder.errors import InvalidInput

from ..errors import StoreError

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMES = ("postgresql://", "postgres://")
"""Both are the client's. Its other form, "host=… password=…", is not taken."""
DEFAULTS = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 60_000}
"""Keep-alive settings, so that a server that silently went away is noticed within a minute."""


class Pool(Protocol):
    """The part of `psycopg_pool.ConnectionPool` that is used."""

    def connection(self) -> AbstractContextManager[Connection[Any]]: ...


def connection_string(url: str) -> str:
    """The URL and DEFAULTS, as the client takes them.

    Raises:
        InvalidInput: it is no URL of a database. Whatever may be a password is not in the message.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    with suppress(psycopg.Error):
        if url.startswith(SCHEMES):
            return make_conninfo("", **{**DEFAULTS, **conninfo_to_dict(url)})
    raise InvalidInput(
        f"{scheme_alone(url)!r} is no address of a database: write it as "
        "postgresql://user:password@host:5432/database, with special characters as %xx"
    )


class OneConnection:
    """One connection, for one thread at a time. It is opened when it is needed, and again after it broke."""

    def __init__(self, url: str | None = None, client: Connection[Any] | None = None) -> None:
        """Raises InvalidInput for a malformed URL, see `connection_string`."""
        self._client, self._owned, self._lock = client, client is None, threading.RLock()
        self._conninfo = "" if url is None else connection_string(url)

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        import psycopg

        with self._lock:
            if self._owned and (self._client is None or self._client.closed):
                self._client = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            if self._client is None or self._client.closed:
                raise StoreError("the connection passed as client is closed; pass url=, or a pool: both open new ones")
            yield self._client

    def close(self) -> None:
        """A connection of the caller stays open."""
        with self._lock:
            if self._owned and self._client is not None:
                self._client.close()
