"""LlamaIndex: an embedding model that knows questions from texts, and late chunking over documents."""

from __future__ import annotations

from jina_v3_encoder.errors import MissingExtra

try:
    import llama_index.core  # noqa: F401
except ImportError:
    raise MissingExtra("llama-index-core", "llama-index") from None

from .embedding import JinaV3Embedding
from .late_chunking import JinaV3LateChunking
from .node_parser import JinaV3NodeParser

__all__ = ["JinaV3Embedding", "JinaV3LateChunking", "JinaV3NodeParser"]
