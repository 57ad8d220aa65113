"""Haystack components. Saved pipelines name their home, `haystack_integrations.components.embedders.jina_v3`."""

from __future__ import annotations

from jina_v3_encoder.errors import MissingExtra

try:
    import haystack  # noqa: F401
except ImportError:
    raise MissingExtra("haystack-ai", "haystack") from None

from haystack_integrations.components.embedders.jina_v3 import (
    JinaV3ContractGuard,
    JinaV3DocumentEmbedder,
    JinaV3LateChunkingIndexer,
    JinaV3TextEmbedder,
)

__all__ = ["JinaV3ContractGuard", "JinaV3DocumentEmbedder", "JinaV3LateChunkingIndexer", "JinaV3TextEmbedder"]
