"""`Store`: what a backend has to do. Every loop and every check is elsewhere."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .contract import EmbeddingContract
from .documents import Chunk, Document, Hit
from .filters import Condition
from .limits import WriteLimits

FloatArray = NDArray[np.float32]
STATE_VARIABLE = "JINA_V3_STATE"


def shared_journal() -> Path:
    """The journal of collections on servers: in the folder $JINA_V3_STATE, else in the user's state folder."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = os.environ.get(STATE_VARIABLE) or Path(base) / "jina-v3"
    return Path(folder) / "journal.sqlite"


class Store(ABC):
    """One collection in one backend. Methods raise StoreError, or StoreBusy for what may succeed later."""

    write_limits: WriteLimits
    """What one request may hold."""
    partition: str = ""
    """Names the part of a collection this store works in, where the backend divides collections."""
    counts_after: float = 0.0
    """Seconds after which `count` and `ids` know of every write that was acknowledged."""

    writer_pause: float = 0.0
    """Seconds between two looks at `writer` during an ingest, where it is a request that should be rare."""

    @property
    @abstractmethod
    def journal_file(self) -> Path:
        """Where it is noted which documents the collection holds."""

    @abstractmethod
    def read_contract(self) -> EmbeddingContract | None:
        """The collection's contract, None where there is no collection.

        Raises:
            ContractMissing: there is a collection, and no contract with it.
        """

    def recent_contract(self) -> EmbeddingContract | None:
        """As `read_contract`, for searches: may come from memory where reading takes as long as a search."""
        return self.read_contract()

    def writer(self) -> str | None:
        """The token of the last ingest, kept with the collection; None where nobody wrote yet, or only we can."""
        return None

    def set_writer(self, token: str) -> None:  # noqa: B027 - an embedded collection's journal lies in its folder
        """Keep `token` with the collection."""

    @abstractmethod
    def create(self, contract: EmbeddingContract) -> None:
        """Make the collection, with its contract, or what an earlier call was stopped before making."""

    @abstractmethod
    def adopt(self, contract: EmbeddingContract) -> None:
        """Give a contract to a collection that has none.

        Raises:
            ContractMismatch: its vectors have another size or metric.
            StoreError: it is not laid out so that this project can work with it.
        """

    def check_storable(self, document: Document) -> None:  # noqa: B027 - most backends take every document
        """Raises DocumentError for a document that this collection cannot keep; called before it is encoded."""

    @abstractmethod
    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> None:
        """Write points by chunk id, replacing those that are there; stored when this returns."""

    @abstractmethod
    def delete(self, where: Condition) -> None:
        """Delete the chunks where `where` holds, in one request; none is no error.

        The engine asks for the tails of a batch's documents at most; see `filters.chunks_of`.
        """

    @abstractmethod
    def nearest(
        self, vectors: FloatArray, limit: int, condition: Condition | None, words: Sequence[str] | None
    ) -> list[list[Hit]]:
        """The best hits for each row of `vectors`, best first, among the chunks where `condition` holds.

        With `words`, the queries' texts, the ranking also counts shared words; scores stay cosines.
        """

    @abstractmethod
    def ids(self) -> Iterator[tuple[str, int]]:
        """(document id, chunk number) of every chunk, in no particular order, read in pages."""

    @abstractmethod
    def count(self) -> int:
        """Chunks in the collection."""

    @abstractmethod
    def close(self) -> None:
        """Flush and let go; safe to call twice."""

    @property
    def hybrid(self) -> bool:
        """Whether the collection was made so that `nearest` can take words."""
        return False

    @abstractmethod
    def point_alias(self, alias: str) -> None:
        """Let `alias` name this collection, at once and in place of any other.

        Raises:
            StoreError: the backend has no aliases; the message says what to use.
        """

    def settle(self) -> None:  # noqa: B027 - most backends have nothing to do
        """Called once after an ingest: the moment to flush, or to build indexes."""
