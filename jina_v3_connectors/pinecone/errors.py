"""What the client's errors mean for an index. They never show the key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jina_v3_encoder.errors import MissingExtra

from ..errors import StoreError, StoreNotFound, of_status, unreachable

try:
    import httpx
    from pinecone.errors import exceptions as errors
except ImportError:
    raise MissingExtra("pinecone", "pinecone") from None


class IndexExists(StoreError):
    """Somebody else has made the index meanwhile."""


@contextmanager
def index_errors(index: str) -> Iterator[None]:
    """Translate the client's errors to errors of this index."""
    where = f"index {index!r}"
    try:
        yield
    except errors.NotFoundError as error:
        raise StoreNotFound(f"{where}: {error.message}") from error
    except errors.ConflictError as error:
        raise IndexExists(f"{where}: {error.message}") from error
    except errors.ApiError as error:
        raise of_status(where, error.status_code, error.message) from error
    except (errors.PineconeConnectionError, errors.PineconeTimeoutError) as error:
        absent = isinstance(error.__cause__, httpx.ConnectError)
        raise unreachable(where, error, absent=absent) from error
    except errors.PineconeError as error:
        raise StoreError(f"{where}: {error}") from error
