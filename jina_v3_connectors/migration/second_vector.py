"""New vectors beside the old ones, in the collection that is moved: a second column, a second named vector."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from jina_v3_encoder.vectors import FloatArray

from ..connector import VectorConnector
from ..contract import EmbeddingContract
from ..documents import Hit
from ..errors import StoreError
from ..filters import All, AnyOf, Condition, DocumentId
from ..fusion import Words
from ..store import Store, Stored, StoredVector, shared_journal
from .changes import Changes
from .records import Record, Source
from .spec import MigrationSpec, column_of
from .state import MigrationState


class SecondVector(Store):
    """A store whose chunks are the records of a collection that is moved in place. It writes the new vectors only.

    So a move into it is run, followed, checked and switched as any other. Its alias is the old vectors' name.
    """

    kind: str
    """What the backend calls such vectors, for messages."""

    @property
    def journal_file(self) -> Path:
        return shared_journal()

    @property
    @abstractmethod
    def where(self) -> str:
        """The collection, for messages."""

    @property
    @abstractmethod
    def filled(self) -> str | None:
        """The name that the new vectors have now. None where there are none yet."""

    @property
    @abstractmethod
    def after_switch(self) -> str:
        """What a switch has changed, for people."""

    @property
    @abstractmethod
    def after_rollback(self) -> str:
        """What a way back has changed, for people."""

    @abstractmethod
    def check_droppable(self) -> str:
        """The name of the vectors that `drop` drops.

        Raises:
            StoreError: they are those that searches read.
        """

    def changes(self, target: VectorConnector, state: MigrationState) -> list[Changes]:
        """The notes that the collection itself keeps of what others write. `target` is the connector of this store."""
        return []

    def check_adoptable(self, contract: EmbeddingContract) -> NoReturn:
        raise StoreError(f"{self.where}: vectors beside others are filled by a move only")

    def sample(self, limit: int, where: Condition | None = None) -> list[StoredVector]:
        raise StoreError(f"{self.where}: vectors beside others are filled by a move only")

    def adopt(self, contract: EmbeddingContract) -> NoReturn:
        raise StoreError(f"{self.where}: vectors beside others are filled by a move only")

    def nearest(
        self, vectors: FloatArray, limit: int, condition: Condition | None, words: Words | None, stored: Stored
    ) -> list[list[Hit]]:
        raise StoreError(f"{self.where} is searched by its application")


class EachRowAlone:
    """A `Source` whose records are documents of their own, without metadata: in place, nothing else is carried."""

    def __init__(self, source: Source, contract: EmbeddingContract | None = None) -> None:
        """`contract` says how the vectors were made, where the collection does not."""
        self._source = source
        self.description, self.dimensions = source.description, source.dimensions
        self.contract = contract or source.contract

    def records(self, *, vectors: bool, after: str | None = None) -> Iterator[Record]:
        return map(_alone, self._source.records(vectors=vectors, after=after))

    def read(self, keys: Sequence[str], *, vectors: bool = False) -> list[Record]:
        return [_alone(record) for record in self._source.read(keys, vectors=vectors)]

    def count(self) -> int:
        return self._source.count()

    def close(self) -> None:
        self._source.close()


def _alone(record: Record) -> Record:
    return Record(record.key, record.text, record.vector)


def documents_named(where: Condition) -> Iterator[str]:
    """The documents of a condition for whole documents. A row has one chunk, so there are no other tails."""
    if isinstance(where, DocumentId):
        yield from where.ids
    elif isinstance(where, AnyOf):
        for part in where.parts:
            yield from documents_named(part)
    elif not isinstance(where, All):
        raise StoreError(f"vectors cannot be removed where {where!r:.100}")


def no_name(spec: MigrationSpec) -> str:
    """How the application of another project's collection is switched, and back."""
    old, new = spec.fields.vector, column_of(spec)
    return (
        f"{spec.source_collection!r} is a collection of another project, whose application names the vector that it "
        f"searches: let it search with using={new!r} and the new model (LlamaIndex: dense_vector_name, LangChain: "
        f"vector_name), and let it write that vector; using={old!r} and the old model again to go back. `rollback` "
        "cannot do that for you"
    )
