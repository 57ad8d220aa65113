"""The demo page: search in several stores, with late chunking off, on and blended side by side."""

from __future__ import annotations

from .routes import demo_page

__all__ = ["demo_page"]
