"""Connectors for jina-embeddings-v3 vectors in vector databases. Every write and search is checked.

Names are imported when they are first used, so that the command line starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jina_v3_encoder.retry import RetryPolicy

if TYPE_CHECKING:
    from .chunking import Chunker, WholeDocument
    from .chunking.splitter import SemanticChunker
    from .connector import VectorConnector
    from .contract import EmbeddingContract
    from .documents import Chunk, Document, Hit, Mark
    from .errors import (
        AdoptionRefused,
        AnotherWriter,
        ContractMismatch,
        ContractMissing,
        DocumentError,
        ServerTooOld,
        StoreBusy,
        StoreError,
        StoreNotFound,
    )
    from .filters import Native
    from .ingestion.report import IngestReport

__all__ = [
    "AdoptionRefused",
    "AnotherWriter",
    "Chunk",
    "Chunker",
    "ContractMismatch",
    "ContractMissing",
    "Document",
    "DocumentError",
    "EmbeddingContract",
    "Hit",
    "IngestReport",
    "Mark",
    "Native",
    "RetryPolicy",
    "SemanticChunker",
    "ServerTooOld",
    "StoreBusy",
    "StoreError",
    "StoreNotFound",
    "VectorConnector",
    "WholeDocument",
]

_MODULES = {
    "chunking": ("Chunker", "SemanticChunker", "WholeDocument"),
    "connector": ("VectorConnector",),
    "contract": ("EmbeddingContract",),
    "documents": ("Chunk", "Document", "Hit", "Mark"),
    "errors": (
        "AdoptionRefused",
        "AnotherWriter",
        "ContractMismatch",
        "ContractMissing",
        "DocumentError",
        "ServerTooOld",
        "StoreBusy",
        "StoreError",
        "StoreNotFound",
    ),
    "filters": ("Native",),
    "ingestion.report": ("IngestReport",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
