from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from jina_v3_encoder.encoder import Encoder

from ..support.running import running
from .hosted import checked_client


@pytest.fixture(scope="session")
def exact() -> Encoder:
    return Encoder.from_pretrained("nano", device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def url(exact: Encoder) -> Iterator[str]:
    """A server of the bundled model."""
    with running(exact) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    """Every answer that it gets is validated against the hosted service's interface."""
    with checked_client(url) as client:
        yield client
