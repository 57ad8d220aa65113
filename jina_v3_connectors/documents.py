"""The values that travel: a document in, its chunks, a hit out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

NAMESPACE = uuid.UUID("6f1d3c0a-6f5b-5f0e-9d7e-6a1a0f3e8b51")
"""Point ids are uuid5 in this namespace, so writing a chunk twice overwrites it and never duplicates it."""

TextFormat = Literal["text", "markdown"]


@dataclass(frozen=True)
class Cut:
    """Characters [start, end) of a document that is cut already, with metadata of this chunk alone."""

    start: int
    end: int
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mark:
    """What is true of a document from character `start` on, up to its next mark: a page, the headings above.

    A chunk has the metadata of the mark that stands where the chunk starts.
    """

    start: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Document:
    """A text to ingest. `id` must be stable between runs: it decides which chunks are replaced."""

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    format: TextFormat = "text"
    cuts: tuple[Cut, ...] | None = None
    """Its chunks, in order, where they are known already. None leaves the cutting to the chunker."""
    marks: tuple[Mark, ...] = ()
    """In the order of their starts. Chunks before the first one have no metadata but the document's."""


@dataclass(frozen=True)
class Chunk:
    """Characters [start, end) of a document."""

    document_id: str
    number: int
    start: int
    end: int
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> uuid.UUID:
        return uuid.uuid5(NAMESPACE, f"{self.document_id}\x1f{self.number}")


class Tail(NamedTuple):
    """The chunks of a document from `number` on; 0 is the whole document."""

    document_id: str
    number: int


@dataclass(frozen=True)
class Hit:
    """A found chunk. `score` is the cosine of its vector and the query's, in every backend."""

    score: float
    chunk: Chunk

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        chunk = self.chunk
        return {
            "score": self.score,
            "id": str(chunk.id),
            "document_id": chunk.document_id,
            "chunk": chunk.number,
            "span": [chunk.start, chunk.end],
            "text": chunk.text,
            "metadata": dict(chunk.metadata),
        }
