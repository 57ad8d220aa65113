"""`POST /v2/embed` as Cohere has it: each type of vector is a list of its own."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from .answers import vectors_answer
from .clients import client_of
from .embeddings import typed, vectors_of
from .fields import TASK_OF_INPUT
from .schemas import CohereRequest
from .service import Encoded, Question, Service


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v2/embed", summary="Vectors of texts, as Cohere gives them")
    async def embed(body: CohereRequest, request: Request) -> Response:
        client = client_of(request)
        model, named_task = service.models.asked(body.model)
        size = client.record.dimensions = model.encoder.info.check_dimensions(body.dimensions)
        task = TASK_OF_INPUT[body.input_type] if body.input_type and model.encoder.tasks else named_task
        question = Question(model, body.texts, task, is_told=task is not None, truncate=body.truncate != "NONE")
        return await vectors_answer(service, [question], client, lambda encoded: _answer(body, encoded[0], size))

    return routes


def _answer(body: CohereRequest, encoded: Encoded, size: int) -> dict[str, Any]:
    vectors = vectors_of(encoded, size, normalize=True)
    return {
        "id": str(uuid.uuid4()),
        "response_type": "embeddings_by_type",
        "embeddings": {kind: typed(vectors, kind) for kind in body.embedding_types or ["float"]},
        "texts": body.texts,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": encoded.tokens}},
    }
