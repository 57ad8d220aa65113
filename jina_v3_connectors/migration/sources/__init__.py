"""What reads collections for a migration: one file for each backend, and one table of known layouts."""

from __future__ import annotations

from .open import open_source

__all__ = ["open_source"]
