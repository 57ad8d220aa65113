"""Backends and a Qdrant server as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jina_v3_encoder.state import STATE_VARIABLE

from ..connectors.conftest import backend, milvus_url
from ..servers.qdrant import qdrant_server

__all__ = ["backend", "milvus_url"]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of an empty Qdrant server."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    with qdrant_server() as address:
        yield f"qdrant+{address}"
