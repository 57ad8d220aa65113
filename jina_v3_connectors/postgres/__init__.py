"""PostgreSQL with the extension pgvector."""

from __future__ import annotations

from .connector import PostgresConnector
from .layout import PostgresLayout

__all__ = ["PostgresConnector", "PostgresLayout"]
