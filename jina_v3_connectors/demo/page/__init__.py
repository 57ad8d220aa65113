"""The demo page: a question asked of several stores, with late chunking off and on side by side."""

from __future__ import annotations

from .routes import OPEN_PAGE_PATHS, router
from .view import View

__all__ = ["OPEN_PAGE_PATHS", "View", "router"]
