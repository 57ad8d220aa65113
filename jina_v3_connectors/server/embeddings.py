"""`POST /v1/embeddings`."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from jina_v3_encoder.vectors import OutputType, check_dimensions, finish, to_output

from .answers import json_answer, patient_answer
from .clients import client_of
from .models import NAME, split_model
from .schemas import EmbeddingsRequest, TokensRequest, texts_of
from .service import Encoded, Question, Service

OUTPUT_TYPES: dict[str, OutputType] = {
    "float": "float32",
    "base64": "base64",
    "binary": "binary",
    "ubinary": "ubinary",
}
QUERY_TYPES = ("query", "search_query")


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/embeddings", summary="Vectors of texts, or of the chunks of one document")
    async def embeddings(body: EmbeddingsRequest, request: Request) -> Response:
        size = check_dimensions(body.dimensions, service.encoder.dimensions)
        texts = texts_of(body.input)
        question = Question(
            texts,
            _task(body, service),
            truncate=bool(body.truncate),
            late_chunking=bool(body.late_chunking),
            spans=body.spans,
            window=body.window,
            overlap=body.overlap,
        )
        job = await service.admit(question, client_of(request))
        waiting = asyncio.ensure_future(service.wait(job))
        after = service.settings.keep_alive_after
        if after is None:
            await service.wait_while_there(waiting, request.is_disconnected)
        return await patient_answer(waiting, lambda encoded: _answer(body, encoded, size), after)

    @routes.post("/v1/tokens", summary="How many tokens the model reads for each text")
    async def tokens(body: TokensRequest, request: Request) -> Response:
        texts = texts_of(body.input)
        service.check_size(texts)
        return json_answer({"tokens": await service.count(texts, body.task, request.is_disconnected)})

    return routes


def _task(body: EmbeddingsRequest, service: Service) -> str | None:
    """From the request's task, else from its input type, else from the model's name, else the server's own."""
    named = split_model(body.model, service.encoder)
    if body.task is not None:
        return body.task
    if body.input_type is not None:
        return "retrieval.query" if body.input_type in QUERY_TYPES else "retrieval.passage"
    return named or service.settings.default_task


def _answer(body: EmbeddingsRequest, encoded: Encoded, size: int) -> dict[str, Any]:
    vectors = finish(np.ascontiguousarray(encoded.vectors[:, :size]), normalize=body.normalized is not False)
    rows = to_output(vectors, OUTPUT_TYPES[body.embedding_type or "float"])
    values = rows.tolist() if rows.dtype.kind == "U" else list(rows)
    return {
        "model": NAME,
        "object": "list",
        "usage": {"total_tokens": encoded.tokens, "prompt_tokens": encoded.tokens},
        "data": [{"object": "embedding", "index": index, "embedding": value} for index, value in enumerate(values)],
    }
