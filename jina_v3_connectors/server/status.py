"""Models, health and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from .answers import json_answer
from .errors import ApiError
from .metrics import Metrics
from .models import model_list, split_model
from .service import Service

OPEN_PATHS = frozenset({"/health", "/ready", "/live"})
"""Answered without a key, so that a supervisor needs none."""
STATUS_PATHS = OPEN_PATHS | {"/metrics"}
"""Answered even where there are too many connections."""


def router(service: Service, metrics: Metrics) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/models", summary="The model and its names")
    async def models() -> Response:
        return json_answer(model_list(service.encoder))

    @routes.get("/v1/models/{name:path}", summary="One name")
    async def model(name: str) -> Response:
        try:
            split_model(name, service.encoder)
        except ApiError as error:
            raise ApiError(404, error.code, error.message) from None
        rows = model_list(service.encoder)["data"]
        return json_answer(next((row for row in rows if row["id"] == name), rows[0]))

    @routes.get("/health", summary="Whether the server runs")
    @routes.get("/live", summary="Whether the server runs")
    @routes.get("/ready", summary="Whether the model is loaded")
    async def health() -> dict[str, Any]:
        return {"status": "ok"}

    @routes.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def counters() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes
