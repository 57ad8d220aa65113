"""Milvus: a server, or Milvus Lite in a local folder."""

from __future__ import annotations

from .connector import MilvusConnector
from .schema import MilvusLayout

__all__ = ["MilvusConnector", "MilvusLayout"]
