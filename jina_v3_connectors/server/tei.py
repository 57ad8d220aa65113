"""`/embed` and `/info` as text-embeddings-inference has them."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Request
from fastapi.responses import Response

from .answers import json_answer, vectors_answer
from .clients import client_of
from .embeddings import vectors_of
from .fields import TASK_OF_INPUT
from .models import Model
from .schemas import TeiRequest, texts_of
from .service import Question, Service


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/embed", summary="Vectors of texts, as text-embeddings-inference gives them")
    async def embed(body: TeiRequest, request: Request) -> Response:
        return await answer(service, body, request)

    @routes.get("/info", summary="The model, as text-embeddings-inference tells it")
    async def info() -> Response:
        encoder, settings = service.models.default.encoder, service.settings
        return json_answer(
            {
                "model_id": encoder.model_id,
                "model_sha": encoder.revision,
                "model_dtype": encoder.info.quantization or "float32",
                "model_type": {"embedding": {"pooling": "mean"}},
                "max_concurrent_requests": settings.max_items,
                "max_input_length": encoder.max_tokens,
                "max_batch_tokens": settings.max_request_tokens,
                "max_client_batch_size": settings.max_items,
                "auto_truncate": False,
                "version": version("jina-v3-connectors"),
                "prompts": list(encoder.tasks),
            }
        )

    return routes


async def answer(service: Service, body: TeiRequest, request: Request) -> Response:
    """A list of vectors."""
    client = client_of(request)
    model, named_task = service.models.asked(body.model)
    size = client.record.dimensions = model.encoder.info.check_dimensions(body.dimensions)
    task = _task(body.prompt_name, model) or named_task
    question = Question(model, texts_of(body.inputs), task, is_told=task is not None, truncate=bool(body.truncate))
    normalize = body.normalize is not False
    return await vectors_answer(
        service,
        [question],
        client,
        lambda encoded: list(vectors_of(encoded[0], size, normalize=normalize)),
    )


def _task(prompt_name: str | None, model: Model) -> str | None:
    """A prompt belongs to a task; TEI's clients name it by the task, or by the kind of text."""
    if prompt_name is None or not model.encoder.tasks:
        return None
    return TASK_OF_INPUT.get(prompt_name, prompt_name)
