"""`POST /v1/embeddings`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from jina_v3_encoder.texts.blend import BLEND
from jina_v3_encoder.vectors import FloatArray, OutputType, finish, to_output

from .answers import json_answer, vectors_answer
from .blend import both_added, both_readings
from .clients import Client, client_of
from .fields import TASK_OF_INPUT
from .models import Model
from .schemas import EmbeddingsRequest, TextOptions, TokensRequest, texts_of
from .service import Encoded, Question, Service
from .token_ids import TokenIds, decoded, tokenizer_of

OUTPUT_TYPES: dict[str, OutputType] = {
    "float": "float32",
    "base64": "base64",
    "binary": "binary",
    "ubinary": "ubinary",
}


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/embeddings", summary="Vectors of texts, or of the chunks of one document")
    async def embeddings(body: EmbeddingsRequest, request: Request) -> Response:
        return await answer(service, body, request)

    @routes.post("/v1/tokens", summary="How many tokens the model reads for each text")
    async def tokens(body: TokensRequest, request: Request) -> Response:
        model, named_task = service.models.asked(body.model)
        task = model.checked_task(body.task or named_task)
        texts = texts_of(body.input)
        service.check_size(texts)
        return json_answer({"tokens": await service.count(model, texts, task, request.is_disconnected)})

    return routes


async def answer(service: Service, body: EmbeddingsRequest, request: Request) -> Response:
    """The vectors that a request asks for, in the hosted service's form."""
    client = client_of(request)
    model, named_task = service.models.asked(body.model)
    size = client.record.dimensions = model.encoder.info.check_dimensions(body.dimensions)
    task = task_of(body, model, named_task)
    question = Question(
        model,
        await texts_asked(service, body, request, client),
        task,
        is_told=is_told(body, named_task),
        truncate=bool(body.truncate),
        late_chunking=bool(body.late_chunking),
        spans=body.spans,
        window=body.window,
        overlap=body.overlap,
    )
    if body.late_chunking == BLEND:
        readings = await both_readings(service, question, client)
        return await vectors_answer(
            service, readings, client, lambda encoded: _answer(body, model, both_added(question, encoded), size)
        )
    return await vectors_answer(service, [question], client, lambda encoded: _answer(body, model, encoded[0], size))


async def texts_asked(service: Service, body: EmbeddingsRequest, request: Request, client: Client) -> list[str]:
    """The texts, decoded where a client sends token ids.

    Raises:
        ApiError: ids of an unknown tokenizer, or none of its own.
    """
    given: object = body.input
    if not isinstance(given, TokenIds):
        return texts_of(body.input)
    tokenizer = tokenizer_of(request.headers, service.settings.token_ids)
    client.record.note(f"token ids of {tokenizer} were decoded")
    return await asyncio.to_thread(decoded, given, tokenizer)


def task_of(options: TextOptions, model: Model, named: str | None) -> str | None:
    """From the request's task, else from its input type, else from the model's name.

    A model without tasks reads questions and passages alike, so an input type says nothing to it.

    Raises:
        ApiError: the request names a task, and the model has none.
    """
    if options.task is not None:
        return model.checked_task(options.task)
    if options.input_type is not None and model.encoder.tasks:
        return TASK_OF_INPUT[options.input_type]
    return named


def is_told(options: TextOptions, named: str | None) -> bool:
    """Whether a request chooses its task. Null is a choice too: the base model, unless the model's name has a task."""
    return "task" in options.model_fields_set or options.input_type is not None or named is not None


def vectors_of(encoded: Encoded, size: int, *, normalize: bool) -> FloatArray:
    """Vectors (n, size)."""
    return finish(np.ascontiguousarray(encoded.vectors[:, :size]), normalize=normalize)


def _answer(body: EmbeddingsRequest, model: Model, encoded: Encoded, size: int) -> dict[str, Any]:
    vectors = vectors_of(encoded, size, normalize=body.normalized is not False)
    return {
        "model": model.name,
        "object": "list",
        "usage": {"total_tokens": encoded.tokens, "prompt_tokens": encoded.tokens},
        "data": [
            {"object": "embedding", "index": index, "embedding": value}
            for index, value in enumerate(_values(vectors, body.embedding_type or "float"))
        ],
    }


def _values(vectors: FloatArray, kinds: str | Sequence[str]) -> list[Any]:
    """Of each vector a value, or an object of values where several types are asked for."""
    if not isinstance(kinds, str) and len(set(kinds)) > 1:
        columns = {kind: typed(vectors, kind) for kind in kinds}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return typed(vectors, kinds if isinstance(kinds, str) else kinds[0])


def typed(vectors: FloatArray, kind: str) -> list[Any]:
    """Of each vector what is sent, in one of OUTPUT_TYPES."""
    rows = to_output(vectors, OUTPUT_TYPES[kind])
    return rows.tolist() if rows.dtype.kind == "U" else list(rows)
