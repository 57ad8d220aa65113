"""`Store`: what a backend must do. All loops and checks are elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from jina_v3_encoder.state import state_folder
from jina_v3_encoder.vectors import FloatArray

from .contract import EmbeddingContract
from .documents import Chunk, Document, Hit
from .filters import Condition
from .fusion import Fusion, Words
from .limits import WriteLimits


def shared_journal() -> Path:
    """The journal of collections on servers: in the state folder."""
    return state_folder() / "journal.sqlite"


StoredVector: TypeAlias = tuple[Chunk, FloatArray]
"""A chunk, and its vector as it is stored."""


class Layout(Protocol):
    """How a collection is stored, beyond its contract. Each backend has its own layout. It changes no vector."""

    @property
    def hybrid(self) -> bool:
        """Whether `nearest` accepts words."""


@dataclass(frozen=True)
class Stored:
    """What a collection says of itself."""

    contract: EmbeddingContract
    layout: Layout
    collection: str | None = None
    """Its own name, where the backend tells it and it matters: it may have been read by an alias."""


class Store(ABC):
    """One collection in one backend. Methods raise StoreError, or StoreBusy if the same call may succeed later.

    A store does not remember what the collection is: `read` says it, and the caller hands `Stored.layout` to the
    methods that need it. A layout that is given to a backend's constructor is for `create` alone.
    """

    write_limits: WriteLimits
    """What one request may hold."""
    new_layout: Any = None
    """How a new collection is stored. None where the backend leaves no choice."""
    partition: str = ""
    """The part of a collection that this store works in, if the backend divides collections."""
    counts_after: float = 0.0
    """Seconds after which `count` and `ids` know of every write that was acknowledged."""

    fusion: Fusion = "scores"
    """How hybrid search fuses where the caller leaves it to the backend: what was measured to be best."""
    writer_pause: float = 0.0
    """Seconds between two calls of `writer` during an ingest, for backends where it is expensive."""

    @property
    @abstractmethod
    def journal_file(self) -> Path:
        """The file of the journal."""

    @abstractmethod
    def read(self) -> Stored | None:
        """What the collection says of itself. None if there is no collection. Changes nothing.

        Raises:
            ContractMissing: there is a collection, and no contract with it.
            StoreError: its contract or its layout cannot be read by this version.
        """

    def read_recent(self) -> Stored | None:
        """As `read`, for searches. It may be a minute old if reading takes as long as a search."""
        return self.read()

    def writer(self) -> str | None:
        """The token of the last ingest, kept with the collection. None if nobody wrote yet, or if nobody else can."""
        return None

    def set_writer(self, token: str) -> None:  # noqa: B027 - an embedded collection's journal lies in its folder
        """Keep `token` with the collection."""

    @abstractmethod
    def create(self, contract: EmbeddingContract) -> None:
        """Make the collection in the layout that this store was opened with, its contract with it.

        If it exists, make what an earlier, stopped call did not make. Another process may have been faster, with
        another contract or layout: `read` says what there is.
        """

    @abstractmethod
    def check_adoptable(self, contract: EmbeddingContract) -> None:
        """Check the layout of a collection that has no contract, and some of its records. Changes nothing.

        Raises:
            ContractMismatch: its vectors have another size or metric.
            StoreError: its layout does not work with this project.
        """

    @abstractmethod
    def sample(self, limit: int, where: Condition | None = None) -> list[StoredVector]:
        """Up to `limit` chunks with their vectors as they are stored, from all over the collection if that is possible.

        With `where`, of those for which it holds. Needs no contract.
        """

    @abstractmethod
    def adopt(self, contract: EmbeddingContract) -> None:
        """Give a contract to a collection that has none, and note the layout that it has. Raises as `check_adoptable`.

        Options that no collection shows are those that this store was opened with.
        """

    def check_storable(self, document: Document, layout: Any) -> None:  # noqa: B027 - most take every document
        """Raises DocumentError for a document that this collection cannot keep. Called before it is encoded."""

    @abstractmethod
    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: Any) -> None:
        """Write points by chunk id. Old ones are replaced. They are stored when this returns."""

    @abstractmethod
    def delete(self, where: Condition) -> None:
        """Delete the chunks where `where` holds, in one request. It is no error if there are none.

        The engine asks for the tails of a batch's documents at most; see `filters.chunks_of`.
        """

    @abstractmethod
    def nearest(
        self, vectors: FloatArray, limit: int, condition: Condition | None, words: Words | None, stored: Stored
    ) -> list[list[Hit]]:
        """The best hits for each row of `vectors`, best first, among the chunks where `condition` holds.

        With `words`, the ranking also counts words that chunks share with the queries' texts; scores stay cosines.
        `stored` is what the queries were made for.
        """

    @abstractmethod
    def ids(self) -> Iterator[tuple[str, int]]:
        """(document id, chunk number) of every chunk, in no particular order, read in pages."""

    @abstractmethod
    def count(self) -> int:
        """Chunks in the collection."""

    @abstractmethod
    def close(self) -> None:
        """Flush and close. Calling it twice is safe."""

    @abstractmethod
    def point_alias(self, alias: str) -> None:
        """Let `alias` name this collection, at once and in place of any other.

        Raises:
            StoreError: the backend has no aliases; the message says what to use.
        """

    @abstractmethod
    def real_name(self) -> str:
        """The collection's own name, where this store was opened by an alias. Changes nothing."""

    @abstractmethod
    def drop(self) -> None:
        """Delete the collection with all that is in it. It is no error if there is none.

        Raises:
            StoreError: the store refuses, as where an alias still names it.
        """

    def settle(self) -> None:  # noqa: B027 - most backends have nothing to do
        """Called once after an ingest: the moment to flush, or to build indexes."""
