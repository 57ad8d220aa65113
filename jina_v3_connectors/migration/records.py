"""The values that a migration reads: a record of any collection, and a source of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract


@dataclass(frozen=True)
class Record:
    """One record of a collection, whoever wrote it. None stands for what the record does not say."""

    key: str
    """The store's id, as text."""
    text: str | None = None
    vector: FloatArray | None = None
    """As it is stored: not normalised, not cut. None also where vectors were not asked for."""
    document_id: str | None = None
    """Of the document that the text is a part of."""
    order: int | None = None
    """The number of the text among the chunks of its document."""
    start: int | None = None
    end: int | None = None
    """Where the text stands in its document, in characters."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FieldNames:
    """The fields of a foreign collection, as the user names them. None leaves it to recognition.

    A name may lead into an object, as in `meta.body`.
    """

    text: str | None = None
    document: str | None = None
    """Holds the id of the document."""
    order: str | None = None
    """Holds the number of a chunk in its document."""
    metadata: tuple[str, ...] | None = None
    """The fields to keep as metadata; the default is all others."""
    vector: str | None = None
    """The vector, where a record has several."""


RECOGNISED = FieldNames()
"""The user names no field."""


class Source(Protocol):
    """A collection that is read and never written. Calls raise StoreError; busy servers are waited for."""

    @property
    def description(self) -> str:
        """Whose layout it is: "jina-v3", "LlamaIndex", "Haystack", "LangChain", "Chroma", "llm" or "plain"."""

    @property
    def contract(self) -> EmbeddingContract | None:
        """How the vectors were made. None where the collection does not say it."""

    @property
    def dimensions(self) -> int | None:
        """Components of a stored vector. None where there are no vectors."""

    def records(self, *, vectors: bool, after: str | None = None) -> Iterator[Record]:
        """Every record, in an order that is the same at each call. They are read in pages.

        `after` is the key of a record: reading goes on behind it, whether or not it is still there. Records that
        are written meanwhile may be missed.
        """

    def read(self, keys: Sequence[str], *, vectors: bool = False) -> list[Record]:
        """The records with these keys, in this order. Those that are not there are left out."""

    def count(self) -> int:
        """How many records there are."""

    def close(self) -> None:
        """Close. Calling it twice is safe."""
