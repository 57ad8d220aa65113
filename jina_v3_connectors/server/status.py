"""Models, health and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from .answers import json_answer
from .errors import ApiError
from .metrics import Metrics
from .models import described
from .service import Service

OPEN_PATHS = frozenset({"/health", "/ready", "/live", "/ping"})
"""Answered without a key, so that a supervisor needs none."""
STATUS_PATHS = OPEN_PATHS | {"/metrics"}
"""Answered even where there are too many connections."""


def router(service: Service, metrics: Metrics) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/models", summary="The models and their names")
    async def models() -> Response:
        return json_answer({"object": "list", "data": service.models.rows()})

    @routes.get("/v1/models/{name:path}", summary="One name")
    async def model(name: str) -> Response:
        try:
            asked, _ = service.models.asked(name)
        except ApiError as error:
            raise ApiError(404, error.code, error.message) from None
        told = next((row for row in service.models.rows() if row["id"] == name), described(asked.name, asked))
        return json_answer(told)

    @routes.get("/health", summary="Whether the server runs")
    @routes.get("/live", summary="Whether the server runs")
    @routes.get("/ping", summary="Whether the server runs, for SageMaker")
    @routes.get("/ready", summary="Whether the models are loaded")
    async def health() -> dict[str, Any]:
        """Where there are several models, with their names."""
        if service.has_failed:
            raise ApiError(503, "SERVER_FAILED", "the thread that computes has ended by an error: restart the server")
        names = [model.name for model in service.models]
        return {"status": "ok"} if len(names) == 1 else {"status": "ok", "models": names}

    @routes.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def counters() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes
