"""`POST /v1/classify`: texts with labels alone, or with a trained classifier, by the classification adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from numpy.typing import NDArray
from starlette.datastructures import Headers

from jina_v3_encoder.task import Task, offered
from jina_v3_encoder.vectors import finish

from .answers import json_answer
from .classifiers import Classifiers, check_labels
from .clients import client_of
from .few_shot import probabilities
from .keys import user_of
from .models import CLASSIFYING
from .schemas import MAX_LABELS, AnyClassifyRequest, FewShotRequest, texts_of
from .service import Question, Service


def router(service: Service, classifiers: Classifiers) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/classify", summary="The label that fits each text best")
    async def classify(body: AnyClassifyRequest, request: Request) -> Response:
        if isinstance(body, FewShotRequest):
            return await few_shot(body, request)
        model = service.models.reading_with(CLASSIFYING, body.model)
        task = offered(Task.CLASSIFICATION, model.encoder.tasks)
        texts = texts_of(body.input)
        groups = body.labels if isinstance(body.labels, dict) else {"": body.labels}
        labels = [label for group in groups.values() for label in group]
        check_labels(len(labels), MAX_LABELS)
        encoded = await service.ask(Question(model, [*texts, *labels], task), client_of(request))
        vectors = finish(encoded.vectors.copy(), normalize=True)
        cosines = vectors[: len(texts)] @ vectors[len(texts) :].T
        rows = [_prediction(index, row, groups) for index, row in enumerate(cosines)]
        return json_answer({"data": rows, "usage": {"total_tokens": encoded.tokens}})

    async def few_shot(body: FewShotRequest, request: Request) -> Response:
        user = user_of(Headers(scope=request.scope), service.settings)
        classifier = await asyncio.to_thread(classifiers.get, body.classifier_id, user)
        told = classifier.description
        model = classifier.model_of(service.models, body.model)
        encoded = await service.ask(Question(model, texts_of(body.input), told.task), client_of(request))
        scores = probabilities(classifier.weights, finish(encoded.vectors.copy(), normalize=True))
        classifiers.used(told.classifier_id)
        rows = [_best(index, _listed(told.labels, row)) for index, row in enumerate(scores)]
        return json_answer({"data": rows, "usage": {"total_tokens": encoded.tokens}})

    return routes


def _prediction(index: int, cosines: NDArray[np.float32], groups: dict[str, list[str]]) -> dict[str, Any]:
    if list(groups) == [""]:
        return _best(index, _scored(groups[""], cosines))
    predictions, start = {}, 0
    for name, labels in groups.items():
        predictions[name] = _scored(labels, cosines[start : start + len(labels)])
        start += len(labels)
    best = {name: max(scored, key=lambda prediction: prediction["score"]) for name, scored in predictions.items()}
    return {
        "object": "classification",
        "index": index,
        "prediction": {name: prediction["label"] for name, prediction in best.items()},
        "score": {name: prediction["score"] for name, prediction in best.items()},
        "predictions": predictions,
    }


def _best(index: int, predictions: list[dict[str, Any]]) -> dict[str, Any]:
    best = max(predictions, key=lambda prediction: prediction["score"])
    told = {"object": "classification", "index": index, "prediction": best["label"], "score": best["score"]}
    return {**told, "predictions": predictions}


def _scored(labels: Sequence[str], cosines: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Softmax over cosines, as the published examples' scores look."""
    weights = np.exp(cosines - cosines.max())
    return _listed(labels, weights / weights.sum())


def _listed(labels: Sequence[str], scores: NDArray[np.float32]) -> list[dict[str, Any]]:
    return [{"label": label, "score": float(score)} for label, score in zip(labels, scores, strict=True)]
