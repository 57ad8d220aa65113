"""The application: routes over the models, one queue and one set of counters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI

from jina_v3_encoder.state import state_folder
from jina_v3_encoder.text_encoder import TextEncoder

from . import (
    classify,
    cohere,
    embeddings,
    errors,
    qdrant_inference,
    rerank,
    root,
    sagemaker,
    segment,
    status,
    tei,
    train,
)
from .batcher import Batcher
from .classifiers import Classifiers
from .description import describe
from .gate import Gate
from .models import Models
from .schemas import ERRORS
from .service import Service
from .settings import ServerSettings

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

ABOUT = "{} on this machine, with the interface of the hosted service."


OWN_SPANS_ONLY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Newer FastAPIs tell OpenTelemetry three spans of each request, with queries of addresses and errors' texts."""


@dataclass(frozen=True)
class Page:
    """What a server shows beside its interface. The server knows nothing of what is on it."""

    router: APIRouter
    open_paths: frozenset[str]
    """Sent without a key."""
    close: Callable[[], None]
    """Called when the server ends."""


def create_app(
    served: TextEncoder | Models, settings: ServerSettings | None = None, page: Page | None = None
) -> FastAPI:
    """An ASGI application that serves a model, or several. The queue starts and ends with the application's lifespan.

    A `page` is served as well, and closed at the end.
    """
    settings = settings or ServerSettings()
    models = served if isinstance(served, Models) else Models.of([served])
    return app_over(Batcher.over(models, settings), settings, page)


def app_over(batcher: Batcher, settings: ServerSettings, page: Page | None) -> FastAPI:
    """As `create_app`, over a queue that may run already."""
    models, metrics = batcher.models, batcher.metrics

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        batcher.close()
        if page is not None:
            page.close()

    app = FastAPI(
        title="jina-v3",
        description=ABOUT.format(", ".join(model.name for model in models)),
        version=version("jina-v3-connectors"),
        lifespan=lifespan,
        redirect_slashes=False,
        responses=ERRORS,
        docs_url=None,
        redoc_url=None,
        telemetry=OWN_SPANS_ONLY,
    )
    service = Service(settings, batcher)
    open_paths = status.OPEN_PATHS | qdrant_inference.OPEN_PATHS | root.OPEN_PATHS
    if page is not None:
        app.include_router(page.router)  # before the hint that stands at its address otherwise
        open_paths |= page.open_paths
    for part in (embeddings, rerank, segment, tei, cohere, sagemaker, qdrant_inference, root):
        app.include_router(part.router(service))
    classifiers = Classifiers(settings.classifiers or state_folder() / "classifiers")
    for taught in (classify, train):
        app.include_router(taught.router(service, classifiers))
    app.include_router(status.router(service, metrics))
    errors.install(app)
    description = app.openapi()
    describe(models, description["components"]["schemas"])
    paths = frozenset(description["paths"])
    app.add_middleware(
        Gate,
        settings=settings,
        metrics=metrics,
        load=batcher,
        paths=paths,
        open_paths=open_paths,
        status_paths=status.STATUS_PATHS,
    )
    return app
