"""The application: routes over one encoder, one queue and one set of counters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from fastapi import APIRouter, FastAPI

from jina_v3_encoder.text_encoder import TextEncoder

from . import classify, embeddings, errors, segment, status
from .batcher import Batcher
from .gate import Gate
from .metrics import Metrics
from .schemas import ERRORS
from .service import Service
from .settings import ServerSettings

ABOUT = "jina-embeddings-v3 on this machine, with the interface of the hosted service."


@dataclass(frozen=True)
class Page:
    """What a server shows beside its interface. The server knows nothing of what is on it."""

    router: APIRouter
    open_paths: frozenset[str]
    """Sent without a key."""
    close: Callable[[], None]
    """Called when the server ends."""


def create_app(encoder: TextEncoder, settings: ServerSettings | None = None, page: Page | None = None) -> FastAPI:
    """An ASGI application that serves `encoder`. The queue starts and ends with the application's lifespan.

    A `page` is served as well, and closed at the end.
    """
    settings = settings or ServerSettings()
    batcher = Batcher(encoder, settings.max_waiting_tokens, Metrics(), settings.max_vector_bytes)
    return app_over(batcher, settings, page)


def app_over(batcher: Batcher, settings: ServerSettings, page: Page | None) -> FastAPI:
    """As `create_app`, over a queue that may run already."""
    encoder, metrics = batcher.encoder, batcher.metrics

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        batcher.close()
        if page is not None:
            page.close()

    app = FastAPI(
        title="jina-v3",
        description=ABOUT,
        version=version("jina-v3-connectors"),
        lifespan=lifespan,
        redirect_slashes=False,
        responses=ERRORS,
        docs_url=None,
        redoc_url=None,
    )
    service = Service(encoder, settings, batcher)
    for part in (embeddings, classify, segment):
        app.include_router(part.router(service))
    app.include_router(status.router(service, metrics))
    open_paths = status.OPEN_PATHS
    if page is not None:
        app.include_router(page.router)
        open_paths |= page.open_paths
    errors.install(app)
    described = app.openapi()
    sizes = described["components"]["schemas"]["EmbeddingsRequest"]["properties"]["dimensions"]["anyOf"]
    sizes[0]["maximum"] = encoder.dimensions
    paths = frozenset(described["paths"])
    app.add_middleware(
        Gate,
        settings=settings,
        metrics=metrics,
        paths=paths,
        open_paths=open_paths,
        status_paths=status.STATUS_PATHS,
    )
    return app
