"""The store branch of the project's error tree; its root is in jina_v3_encoder.errors.

JinaV3Error
 ├─ DocumentError          an input file or document cannot be read, cut or encoded; the message names it. An argument
 │                         that is wrong is an InvalidInput, ids that are passed to `delete` among them
 └─ StoreError             a collection cannot be opened, read or written
     ├─ StoreNotFound      nothing was ever ingested there
     ├─ ContractMissing    the collection was not made by this project; `adopt` takes it over
     ├─ ServerTooOld       the server's version lacks what a new collection needs; nothing was made
     ├─ StoreBusy (Busy)   the same request may succeed later; the ingest engine waits and repeats it
     ├─ AnotherWriter      another journal knows what the collection holds, this one does not
     └─ ContractMismatch   the collection was filled in another way; both sides are listed
         └─ AdoptionRefused     its vectors are not those that its texts should have, or it has no texts
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jina_v3_encoder.errors import Busy, JinaV3Error
from jina_v3_encoder.retry import BUSY_STATUS


class DocumentError(JinaV3Error):
    """A document cannot be read, cut into chunks or encoded."""

    document_id: str | None = None
    """The document's id, where a file that cannot be read has one."""


class StoreError(JinaV3Error):
    """A store cannot be opened, read or written."""


class StoreNotFound(StoreError):
    """There is no such collection."""


class ContractMissing(StoreError):
    """A collection does not say how it was filled."""

    def __init__(self, collection: str) -> None:
        super().__init__(
            f"collection {collection!r} exists but does not say which model made its vectors, so it was not made "
            "by this project. jina-v3 migrate reads it into a new collection; or, if it was filled by this very model "
            "and settings, open it with adopt=True (--adopt). Nothing was changed."
        )


class ServerTooOld(StoreError):
    """A server's version lacks what a new collection needs. Nothing was made."""


class StoreBusy(StoreError, Busy):
    """A store is busy."""

    final = StoreError


class AnotherWriter(StoreError):
    """The collection was last written with another journal, so this one does not know what it holds."""

    def __init__(self, collection: str, journal: Path, *, older_copy: bool) -> None:
        other = "a later state of this journal" if older_copy else "another journal, on another machine or before"
        super().__init__(
            f"collection {collection!r} was last written with {other}: {journal} does not know what is stored, and "
            "would skip or keep the wrong documents. Use that journal (its folder is $JINA_V3_STATE); or, if nobody "
            "else writes there any more, ingest once with take_over=True (--take-over), which writes everything again. "
            "Nothing was changed."
        )


class ContractMismatch(StoreError):
    """A collection was filled with another model, task, dimension or chunking than this connector uses."""

    def __init__(
        self, collection: str, differences: Mapping[str, tuple[object, object]], *, empty: bool = False
    ) -> None:
        """`empty` says that the collection holds nothing."""
        lines = [
            f"{name}: the collection has {stored!r}, you use {used!r}" for name, (stored, used) in differences.items()
        ]
        reason, remedy = "was filled in another way, so its vectors cannot be compared with yours", ""
        if empty:
            reason = "was made for another way of filling it, and is still empty: its first ingest stored nothing"
            remedy = ", or delete this one"
        super().__init__(
            f"collection {collection!r} {reason}:\n  "
            + "\n  ".join(lines)
            + f"\nOpen it with the settings on the left, or ingest into a new collection{remedy}. Nothing was changed."
        )
        self.differences = dict(differences)


class AdoptionRefused(ContractMismatch):
    """The vectors of a collection without a contract are not those that its texts should have."""

    def __init__(self, collection: str, reason: str) -> None:
        StoreError.__init__(self, f"collection {collection!r} was not adopted: {reason}. Nothing was changed.")
        self.differences = {}


def not_adoptable(where: str, reason: str) -> StoreError:
    """A collection has a layout that this project can read, and cannot search or write."""
    return StoreError(
        f"{where} cannot be adopted: {reason}; jina-v3 migrate reads it into a new collection, or ingest into a new "
        "collection yourself. Nothing was changed"
    )


def of_status(where: str, status: int | None, reason: str, wait: float | None = None) -> StoreError:
    """What an HTTP status means for a collection; `where` names it, `wait` is what a busy server asks for."""
    message = f"{where}: the server answers {status}: {reason}"
    if status in BUSY_STATUS:
        return StoreBusy(message, wait)
    return (StoreNotFound if status == 404 else StoreError)(message)


def unreachable(where: str, error: BaseException, *, absent: bool = False) -> StoreBusy:
    """A server did not answer; with `absent` nobody listens at its address."""
    return StoreBusy(f"{where}: the server cannot be reached: {error}", absent=absent)
