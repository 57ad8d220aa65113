"""Haystack components for jina-embeddings-v3 on your own machine."""

from jina_v3_encoder.errors import MissingExtra

try:
    import haystack  # noqa: F401
except ImportError:
    raise MissingExtra("haystack-ai", "haystack") from None

from .contract_guard import JinaV3ContractGuard
from .document_embedder import JinaV3DocumentEmbedder
from .document_splitter import JinaV3DocumentSplitter
from .late_chunking_indexer import JinaV3LateChunkingIndexer
from .text_embedder import JinaV3TextEmbedder

__all__ = [
    "JinaV3ContractGuard",
    "JinaV3DocumentEmbedder",
    "JinaV3DocumentSplitter",
    "JinaV3LateChunkingIndexer",
    "JinaV3TextEmbedder",
]
