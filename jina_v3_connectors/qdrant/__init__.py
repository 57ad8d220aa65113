"""Qdrant, embedded: a folder on disk, no server."""

from __future__ import annotations

from .connector import QdrantConnector

__all__ = ["QdrantConnector"]
