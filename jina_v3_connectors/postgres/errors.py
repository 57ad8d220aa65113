"""What the server's and the client's errors mean for a collection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from ..errors import StoreBusy, StoreError, StoreNotFound

EXTENSION = (
    "this needs pgvector 0.8 or later: a superuser runs CREATE EXTENSION vector once in this database; where the "
    "server has no such extension, install it first (the image pgvector/pgvector has it)"
)
BUSY_STATES = frozenset({"40001", "40P01", "53200", "53300", "53400", "55006", "55P03", "57P01", "57P02", "57P03"})
"""Serialization, deadlock, memory, connections, locks, a server that starts or ends. All of class 08 count too."""
PASSING = ("too many c", "connection slots", "starting up", "shutting down", "recovery mode", "not yet accepting")
ABSENT = ("connection failed", "connection time", "failed to resolve host")
MALFORMED = ("connection is bad: invalid", "connection is bad: could not match")
"""The client refuses a setting of the URL. It has asked no server yet."""
ESCAPE = "if this is not what you meant, write special characters in the URL as %xx"
REMEDIES = {
    "57014": "raise statement_timeout, as in ?options=-cstatement_timeout%3D60s, or ask for less",
    "25006": "this server takes no writes, as a standby does: connect to the primary one",
    "53100": "free space on the server's disk, or in its /dev/shm (--shm-size), then run this again: it goes on",
    "42501": "connect as a user who may do this, or to a schema of your own: ?options=-csearch_path%3Dname",
    "42704": EXTENSION,
    "0A000": EXTENSION,
    "58P01": EXTENSION,
    "22P05": "the database's encoding must be UTF8",
}


@contextmanager
def store_errors(collection: str) -> Iterator[None]:
    """Raises StoreError or StoreBusy for errors of psycopg."""
    try:
        yield
    except psycopg.Error as error:
        raise _meaning(f"collection {collection!r}", error) from error


def _meaning(where: str, error: psycopg.Error) -> StoreError:
    state, cause = error.sqlstate or "", " ".join((error.diag.message_primary or str(error)).split())
    remedy = EXTENSION if state == "42501" and "extension" in cause else REMEDIES.get(state, "")
    message = f"{where}: {cause}{'; ' if remedy else ''}{remedy}"
    if state == "42P01":
        return StoreNotFound(message)
    if state in BUSY_STATES or state.startswith("08") or (state == "57014" and "statement timeout" in cause):
        return StoreBusy(message)
    if state or not isinstance(error, psycopg.OperationalError):
        return StoreError(message)
    if "FATAL" in cause and not any(sign in cause for sign in PASSING):  # without a state it is the answer to a log-in
        return StoreError(f"{message}; user, password and database stand in the URL, or in $PGUSER, $PGPASSWORD, …")
    if cause.startswith(MALFORMED):
        return StoreError(f"{message}; {ESCAPE}")
    if cause.startswith("failed to resolve host"):
        message += f"; {ESCAPE}"
    return StoreBusy(message, absent="FATAL" not in cause and cause.startswith(ABSENT))
