"""A local server that speaks the interface of the hosted embedding service; extra `server`."""

from __future__ import annotations

from jina_v3_encoder.errors import MissingExtra

try:
    import fastapi  # noqa: F401
except ImportError:
    raise MissingExtra("fastapi", "server") from None

from .app import create_app
from .models import Models
from .settings import ServerSettings

__all__ = ["Models", "ServerSettings", "create_app"]
