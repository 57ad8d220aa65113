"""A small move for tests: an old collection with chunks of 32 components, a new one of 16 with late chunking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jina_v3_connectors import Document, VectorConnector
from jina_v3_connectors.backends import open_store
from jina_v3_connectors.migration.migration import Migration
from jina_v3_connectors.migration.opening import Sides, opened_migration, spec_of
from jina_v3_connectors.migration.spec import MigrationSpec, MoveSettings
from jina_v3_connectors.store import Store
from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import Sentences

OLD, NEW = "docs", "docs_new"
OLD_SIZE, NEW_SIZE = 32, 16


def corpus(documents: int, version: int = 1) -> list[Document]:
    """Documents of one to three chunks."""
    return [
        Document(f"d{number:04d}", " ".join(f"Sentence {part} of {number}, version {version}." for part in range(size)))
        for number in range(documents)
        for size in [1 + number % 3]
    ]


@contextmanager
def old_collection(url: str) -> Iterator[VectorConnector]:
    with open_store(url, FakeEncoder(), OLD, dimensions=OLD_SIZE, chunker=Sentences()) as connector:
        yield connector


def fill(url: str, documents: Sequence[Document]) -> None:
    with old_collection(url) as connector:
        connector.ingest(documents, prune=True)


def settings(source: str, target: str, **changes: Any) -> MigrationSpec:
    options: dict[str, Any] = {"dimensions": NEW_SIZE, "late_chunking": True}
    return spec_of(Sides(source, target), OLD, NEW, settings=MoveSettings(**(options | changes)))


@contextmanager
def move(
    source: str, target: str, encoder: Any = None, beside: Store | None = None, **changes: Any
) -> Iterator[Migration]:
    spec = settings(source, target, **changes)
    with opened_migration(
        Sides(source, target), spec, "move", encoder or FakeEncoder(), _tokenizer, beside=beside
    ) as migration:
        yield migration


def _tokenizer() -> Path:
    """Of the bundled model."""
    return find_checkpoint("nano").tokenizer_file


def clean_vectors(documents: Sequence[Document], folder: Path) -> dict[str, list[float]]:
    """What a clean ingest of the new model gives, by point id."""
    from jina_v3_connectors.migration.sources import open_source

    with open_store(
        f"qdrant:{folder}", FakeEncoder(), NEW, dimensions=NEW_SIZE, late_chunking=True, chunker=Sentences()
    ) as connector:
        connector.ingest(documents)
    return read_all(open_source(f"qdrant:{folder}", NEW))


def read_all(source: Any) -> dict[str, list[float]]:
    """Vectors by point id; the source is closed."""
    try:
        return {record.key: record.vector.tolist() for record in source.records(vectors=True)}
    finally:
        source.close()
