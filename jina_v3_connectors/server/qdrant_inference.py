"""`POST /qdrant`: the address for Qdrant's `inference.address`, by which it has texts of its own clients encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import Headers

from jina_v3_encoder.task import Task, offered

from .answers import vectors_answer
from .clients import client_of
from .embeddings import task_of, vectors_of
from .keys import check_key
from .schemas import InferenceInput, InferenceRequest, TextOptions
from .service import Encoded, Question, Service

PATH = "/qdrant"
OPEN_PATHS = frozenset({PATH})
"""The route looks for the key itself: Qdrant sends it in the body."""
TASKS = {"search": Task.RETRIEVAL_QUERY, "update": Task.RETRIEVAL_PASSAGE}


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post(PATH, summary="Vectors of texts, as Qdrant asks for them")
    async def infer(body: InferenceRequest, request: Request) -> Response:
        return await answer(service, body, request)

    return routes


async def answer(service: Service, body: InferenceRequest, request: Request) -> Response:
    """A vector of each input: of questions where Qdrant searches, of passages where it stores."""
    check_key(Headers(scope=request.scope), service.settings, body.token)
    service.check_size([asked.data for asked in body.inputs], "inputs")  # of all groups together
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, asked in enumerate(body.inputs):
        groups.setdefault(_kind(service, body, asked), []).append(number)
    questions = [
        Question(model, [body.inputs[number].data for number in numbers], task, truncate=truncate)
        for (model, task, _, _, truncate), numbers in groups.items()
    ]
    return await vectors_answer(service, questions, client_of(request), lambda encoded: _answer(groups, encoded))


def _kind(service: Service, body: InferenceRequest, asked: InferenceInput) -> tuple[Any, ...]:
    """Model, task, size, whether to normalise and to cut: what inputs that are read together have in common."""
    options = asked.options or TextOptions()
    model, named_task = service.models.asked(asked.model)
    size = model.encoder.info.check_dimensions(options.dimensions)
    usual = offered(TASKS[body.inference or "update"], model.encoder.tasks)
    task = task_of(options, model, named_task or usual)
    return model, task, size, options.normalized is not False, bool(options.truncate)


def _answer(groups: dict[tuple[Any, ...], list[int]], encoded: Sequence[Encoded]) -> dict[str, Any]:
    rows: dict[int, Any] = {}
    for ((_, _, size, normalize, _), numbers), part in zip(groups.items(), encoded, strict=True):
        rows |= zip(numbers, vectors_of(part, size, normalize=normalize), strict=True)
    return {"embeddings": [rows[number] for number in sorted(rows)]}
