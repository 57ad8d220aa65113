"""Pinecone: document indexes and vector indexes."""

from __future__ import annotations

from .connector import PineconeConnector

__all__ = ["PineconeConnector"]
