"""`Store`: what a backend has to do. Every loop and every check is elsewhere."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .batches import WriteLimits
from .contract import EmbeddingContract
from .documents import Chunk, Hit, Tail
from .filters import Condition

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

    @property
    @abstractmethod
    def journal_file(self) -> Path:
        """Where it is noted which documents the collection holds."""

    @abstractmethod
    def read_contract(self) -> EmbeddingContract | None:
        """The collection's contract, None where there is no collection."""

    @abstractmethod
    def create(self, contract: EmbeddingContract) -> None:
        """Make the collection, with its contract."""

    @abstractmethod
    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> None:
        """Write points by chunk id, replacing those that are there; stored when this returns."""

    @abstractmethod
    def delete(self, tails: Sequence[Tail]) -> None:
        """Delete chunks, in one request; unknown documents are no error. The engine asks for at most a batch's."""

    @abstractmethod
    def nearest(self, vectors: FloatArray, limit: int, condition: Condition | None) -> list[list[Hit]]:
        """The best hits for each row of `vectors`, best first, among the chunks where `condition` holds."""

    @abstractmethod
    def ids(self) -> Iterator[tuple[str, int]]:
        """(document id, chunk number) of every chunk, in no particular order, read in pages."""

    @abstractmethod
    def count(self) -> int:
        """Chunks in the collection."""

    @abstractmethod
    def close(self) -> None:
        """Flush and let go; safe to call twice."""
