"""`POST /v1/train` and `/v1/classifiers`: classifiers from a few labelled texts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import Headers

from jina_v3_encoder.task import Task, offered
from jina_v3_encoder.vectors import finish

from .answers import json_answer
from .classifiers import MAX_LABELS, Classifier, Classifiers, check_labels
from .clients import client_of
from .errors import ApiError
from .keys import user_of
from .models import CLASSIFYING, Model
from .schemas import AnyTrainRequest, CreateTrainRequest, TrainItem
from .service import Question, Service

Result = TypeVar("Result")


def router(service: Service, classifiers: Classifiers) -> APIRouter:
    routes = APIRouter()
    training = ThreadPoolExecutor(1, "jina-v3-train")  # apart, so that who waits for its turn holds up nothing else

    def in_turn(work: Callable[..., Result], *arguments: object) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(training, partial(work, *arguments))

    @routes.post("/v1/train", summary="Train a classifier with labelled texts, or go on with one")
    async def train(body: AnyTrainRequest, request: Request) -> Response:
        user = user_of(Headers(scope=request.scope), service.settings)
        samples = body.input if isinstance(body.input, list) else [body.input]
        known, model = await asyncio.to_thread(_begun, service, classifiers, body, samples, user)
        question = Question(model, [sample.text for sample in samples], known.description.task)
        encoded = await service.ask(question, client_of(request))
        vectors = finish(encoded.vectors.copy(), normalize=True)
        classifier_id = None if isinstance(body, CreateTrainRequest) else body.classifier_id
        labels = [sample.label for sample in samples]
        learned = await in_turn(classifiers.learn, classifier_id, known, vectors, labels, body.num_iters)
        return json_answer(
            {
                "classifier_id": learned.description.classifier_id,
                "num_samples": len(samples),
                "usage": {"total_tokens": encoded.tokens},
            }
        )

    @routes.get("/v1/classifiers", summary="Your classifiers")
    @routes.post("/v1/classifiers", summary="Your classifiers")
    async def listed(request: Request) -> Response:
        user = user_of(Headers(scope=request.scope), service.settings)
        return json_answer(await asyncio.to_thread(classifiers.of_user, user))

    @routes.delete("/v1/classifiers/{classifier_id}", summary="Delete one of your classifiers")
    async def deleted(classifier_id: str, request: Request) -> Response:
        user = user_of(Headers(scope=request.scope), service.settings)
        await in_turn(classifiers.delete, classifier_id, user)
        return json_answer({"classifier_id": classifier_id, "deleted": True})

    return routes


def _begun(
    service: Service, classifiers: Classifiers, body: AnyTrainRequest, samples: list[TrainItem], user: str
) -> tuple[Classifier, Model]:
    """The classifier that is to learn, and its model.

    Raises:
        ApiError: too few or too many labels, no such classifier, or one of another model or user.
    """
    labels = list(dict.fromkeys(sample.label for sample in samples))
    check_labels(len(labels), MAX_LABELS)
    if isinstance(body, CreateTrainRequest):
        if len(labels) < 2:
            message = "input: at least two different labels are needed to tell texts apart, got one"
            raise ApiError(400, "INPUT_INVALID_LABELS", message)
        model = service.models.reading_with(CLASSIFYING, body.model)
        task = offered(Task.CLASSIFICATION, model.encoder.tasks)
        return classifiers.create(model, task, labels, user, body.access), model
    known = classifiers.get(body.classifier_id, user)
    if known.description.user_id != user:
        raise ApiError(403, "AUTHZ_NOT_THE_OWNER", "a classifier learns from the key only that trained it first")
    return known, known.model_of(service.models, body.model)
