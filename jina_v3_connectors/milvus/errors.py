"""What the client's errors mean for a collection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jina_v3_encoder.errors import MissingExtra

from ..errors import StoreBusy, StoreError, StoreNotFound, unreachable
from .quiet import quiet

try:
    import grpc
    from pymilvus import MilvusException
except ImportError:
    raise MissingExtra("pymilvus", "milvus") from None

NOT_FOUND = 100
NOT_LOADED = 101
BUSY_CODES = frozenset({2, 4, 8, 103, 600})
"""Unavailable, too many requests, rate limit, still loading. And a segment that was not found: it was merged into
another one while the server listed them (seen: it ended an ingest)."""
BUSY_STATES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)
BUSY_SIGNS = (
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "wait for loading collection timeout",
    "wait for flush timeout",
    "node not match",
    "node not found",
    "channel not available",
)
"""The last three come for a while after a server was restarted or stood still, until its parts know each other."""
REFUSED_STATES = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
TOO_LARGE = "larger than max"
"""How gRPC says that a message is over its receiver's or sender's limit, on both sides."""


class AnswerTooLarge(StoreError):
    """The answer is larger than the 64 MiB that a server sends. Request less at once."""


@contextmanager
def store_errors(collection: str) -> Iterator[None]:
    """Translate the client's errors to errors of this collection, and keep its tracebacks out of the log."""
    where = f"collection {collection!r}"
    try:
        with quiet():
            yield
    except MilvusException as error:
        raise of_exception(where, error) from error
    except grpc.RpcError as error:
        raise of_rpc(where, error) from error
    except (ConnectionError, TimeoutError) as error:
        raise unreachable(where, error) from error


def of_exception(where: str, error: MilvusException) -> StoreError:
    """The meaning of the client's error."""
    message = f"{where}: {error.message or error} (code {error.code})"
    if error.code == NOT_FOUND:
        return StoreNotFound(message)
    busy = error.code in BUSY_CODES or error.code in BUSY_STATES
    if busy or any(sign in message for sign in BUSY_SIGNS):
        return StoreBusy(message, absent="Fail connecting" in message)
    return StoreError(message)


def of_rpc(where: str, error: grpc.RpcError) -> StoreError:
    """The meaning of an error of gRPC, which the client passes on where it does not repeat the call."""
    state, details = error.code(), error.details() or ""
    message = f"{where}: {details} ({state.name})"
    if state in REFUSED_STATES:
        return StoreError(f"{message}; set $MILVUS_TOKEN to user:password or an API key that may do this")
    if TOO_LARGE in details:
        return AnswerTooLarge(f"{message}; ask for fewer hits at once, or keep smaller chunks")
    return StoreBusy(message) if state in BUSY_STATES else StoreError(message)


def refusal(error: BaseException) -> str:
    """The server's message if it refused the token, else empty.

    The client says the same of every failed connection; why stands in the errors it came from, which may form a ring.
    """
    seen: list[BaseException] = []
    ahead: list[BaseException | None] = [error]
    while ahead:
        current = ahead.pop()
        if current is None or any(current is one for one in seen):
            continue
        if isinstance(current, grpc.RpcError) and current.code() in REFUSED_STATES:
            return str(current.details())
        seen.append(current)
        ahead += [current.__context__, current.__cause__]
    return ""
