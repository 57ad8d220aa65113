"""Qdrant: embedded in a folder, in memory, or on a server."""

from __future__ import annotations

from .connector import QdrantConnector
from .layout import QdrantLayout

__all__ = ["QdrantConnector", "QdrantLayout"]
