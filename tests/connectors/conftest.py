"""The backends as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.backends import NAMES, Backend, backend_named, shared_milvus


@pytest.fixture(scope="session")
def milvus_url() -> Iterator[Any]:
    with shared_milvus() as url:
        yield url


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest, tmp_path: Path, milvus_url: Any) -> Iterator[Backend]:
    with backend_named(request.param, tmp_path, milvus_url) as backend:
        yield backend
