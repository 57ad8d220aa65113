"""Connections to a server: one that opens again after it broke, or the caller's pool."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from jina_v3_encoder.address import scheme_alone
from jina_v3_encoder.errors import InvalidInput

from ..errors import StoreError

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMES = ("postgresql://", "postgres://")
"""Both are the client's. Its other form, "host=… password=…", is not taken."""
PARAMETER_NAME = re.compile(r"[a-z_]{1,40}")
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
            options = conninfo_to_dict(url)
            if not _cuts_a_password(options) and all(map(_is_port, str(options.get("port") or "").split(","))):
                return make_conninfo("", **{**DEFAULTS, **options})
    unknown = _unknown_parameter(url)
    raise InvalidInput(
        f"{scheme_alone(url)!r} is no address of a database: {unknown}write it as "
        "postgresql://user:password@host:5432/database, the port a number from 1 to 65535, special characters as %xx"
    )


def _cuts_a_password(options: Mapping[str, Any]) -> bool:
    """Whether an unescaped "@" or "/" of a password ended it too early. The rest of it would be shown as a host."""
    in_host = "@" in str(options.get("host", ""))
    return in_host or ("user" not in options and "host" in options and "@" in str(options.get("dbname", "")))


def _is_port(port: str) -> bool:
    """An empty one is the default."""
    return not port or (port.isdecimal() and 0 < int(port) < 2**16)


def _unknown_parameter(url: str) -> str:
    """Words about the first parameter that the client does not know. Empty where it may be part of a password."""
    from psycopg.pq import Conninfo

    parameters = url.partition("?")[2]
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} | {"ssl"}
    if not url.startswith(SCHEMES) or "@" in parameters:
        return ""
    names = (parameter.partition("=")[0] for parameter in parameters.split("&"))
    unknown = next((name for name in names if name not in known and PARAMETER_NAME.fullmatch(name)), None)
    return "" if unknown is None else f"the client knows no parameter {unknown!r}; "


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
