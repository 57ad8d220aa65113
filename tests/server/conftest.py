"""A server of the bundled model, and a client whose answers are checked. Vendors are imported where they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from jina_v3_encoder.encoder import Encoder

if TYPE_CHECKING:
    import httpx


@pytest.fixture(scope="session")
def exact() -> Encoder:
    return Encoder.from_pretrained("nano", device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def url(exact: Encoder) -> Iterator[str]:
    """A server of the bundled model."""
    from ..support.running import running

    with running(exact) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    """Every answer that it gets is validated against the hosted service's interface."""
    from .hosted import checked_client

    with checked_client(url) as client:
        yield client
