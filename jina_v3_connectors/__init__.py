"""Connectors that put jina-embeddings-v3 vectors into vector databases, checked on every write and search."""

from __future__ import annotations

from .chunking import Chunker, SemanticChunker, WholeDocument
from .contract import EmbeddingContract
from .documents import Chunk, Document, Hit
from .errors import ContractMismatch, DocumentError, StoreError, StoreNotFound
from .ingest import IngestReport

__all__ = [
    "Chunk",
    "Chunker",
    "ContractMismatch",
    "Document",
    "DocumentError",
    "EmbeddingContract",
    "Hit",
    "IngestReport",
    "SemanticChunker",
    "StoreError",
    "StoreNotFound",
    "WholeDocument",
]
