"""`POST /`: what several clients call when they are given no path, told apart by their fields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers

from . import qdrant_inference, segment, tei
from .answers import json_answer
from .errors import ApiError
from .keys import check_key
from .records import record_of
from .schemas import InferenceRequest, SegmentRequest, TeiRequest
from .service import Service

OPEN_PATHS = frozenset({"/"})
"""The route looks for the key itself: a page may stand at the same address, for everybody to load."""
Answer = Callable[[Service, Any, Request], Awaitable[Response]]


def router(service: Service) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def hint() -> Response:
        names = [model.name for model in service.models]
        return json_answer({"models": names, "description": "/openapi.json", "embeddings": "POST /v1/embeddings"})

    @routes.post("/")
    async def by_fields(request: Request, body: dict[str, Any]) -> Response:
        if "content" not in body and "inputs" not in body:
            raise ApiError(
                404, "NOT_FOUND", "POST / takes the fields `content` or `inputs`: did you mean /v1/embeddings?"
            )
        form, answer = _form(body)
        record_of(request.scope).has_plain_error = form is not SegmentRequest
        if form is not InferenceRequest:
            check_key(Headers(scope=request.scope), service.settings)
        try:
            asked = form.model_validate(body)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None
        return await answer(service, asked, request)

    return routes


def _form(body: dict[str, Any]) -> tuple[type[BaseModel], Answer]:
    """Jina's segmenter, Qdrant's inference, or text-embeddings-inference."""
    if "content" in body:
        return SegmentRequest, segment.answer
    inputs = body["inputs"]
    if isinstance(inputs, list) and inputs and isinstance(inputs[0], dict) and "data" in inputs[0]:
        return InferenceRequest, qdrant_inference.answer
    return TeiRequest, tei.answer
