"""What the embedded engine's and the client's errors mean for a collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jina_v3_encoder.retry import wished_wait

from ..disk import READ_ONLY
from ..documents import Chunk
from ..errors import StoreBusy, StoreError, StoreNotFound, of_status, unreachable

if TYPE_CHECKING:
    from qdrant_client.http.exceptions import UnexpectedResponse

NAMED = 10
"""How many documents an error names."""
PANIC_MODULE = "pyo3_runtime"
"""The module of a panic's type. It cannot be imported, and the type is not an Exception."""
NOT_WRITABLE = ("(os error 13)", "(os error 30)")
"""Permission denied, read-only file system."""


@contextmanager
def engine_errors(folder: Path, chunks: Sequence[Chunk] = ()) -> Iterator[None]:
    """Translate the engine's errors: name the folder and the remedy. `chunks` are what is being written.

    The engine raises bare Exception, and a panic is not even that.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{folder} cannot be read or written: {error}") from error
    except Exception as error:
        if "WouldBlock" in str(error):
            raise StoreError(f"{folder} is open in another process or connector; close that first") from error
        if any(code in str(error) for code in NOT_WRITABLE):
            raise StoreError(f"{folder} {READ_ONLY} ({error})") from error
        raise StoreError(f"{folder}: {error}") from error
    except BaseException as error:
        if type(error).__module__ != PANIC_MODULE:
            raise
        raise StoreError(_panic(folder, error, chunks)) from error


@contextmanager
def client_errors(collection: str) -> Iterator[None]:
    """Translate the client's errors, which differ with transport and mode, to errors of this collection."""
    import httpx
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    where = f"collection {collection!r}"
    try:
        yield
    except StoreError:
        raise
    except ResourceExhaustedResponse as error:
        raise StoreBusy(f"{where}: {error}", float(error.retry_after_s)) from error
    except UnexpectedResponse as error:
        raise of_status(where, error.status_code, _reason(error), wished_wait(error.headers)) from error
    except (ResponseHandlingException, httpx.TransportError, ConnectionError, TimeoutError) as error:
        absent = isinstance(getattr(error, "source", error), httpx.ConnectError)
        raise unreachable(where, error, absent=absent) from error
    except KeyError as error:  # the client's own store, of a point that is not there
        raise StoreNotFound(f"{where}: there is no point {error}") from error
    except ValueError as error:
        missing = "not found" in str(error)
        raise (StoreNotFound if missing else StoreError)(f"{where}: {error}") from error


def _panic(folder: Path, error: BaseException, chunks: Sequence[Chunk]) -> str:
    names = list(dict.fromkeys(chunk.document_id for chunk in chunks))
    shown = ", ".join(map(repr, names[:NAMED])) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    doing = f" while it wrote documents {shown}" if names else ""
    return (
        f"{folder}: the engine broke off{doing}: {error}. Close the collection and open it again. If it "
        "breaks off again, its files are damaged: delete the folder and ingest again"
        + (", without the document at fault" if names else "")
    )


def _reason(error: UnexpectedResponse) -> str:
    try:
        return str(error.structured()["status"]["error"])
    except Exception:
        return error.content[:200].decode("utf-8", "replace")
