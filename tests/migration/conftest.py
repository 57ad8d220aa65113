"""The backends as fixtures."""

from __future__ import annotations

from ..connectors.conftest import backend, milvus_url

__all__ = ["backend", "milvus_url"]
