"""`POST /v1/classify`, zero-shot: texts and labels with the classification adapter."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from numpy.typing import NDArray

from jina_v3_encoder.vectors import finish

from .answers import json_answer
from .clients import client_of
from .models import split_model
from .schemas import ClassifyRequest, texts_of
from .service import Question, Service

TASK = "classification"


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/classify", summary="The label that fits each text best")
    async def classify(body: ClassifyRequest, request: Request) -> Response:
        split_model(body.model, service.encoder)
        texts = texts_of(body.input)
        groups = body.labels if isinstance(body.labels, dict) else {"": body.labels}
        labels = [label for group in groups.values() for label in group]
        encoded = await service.ask(Question([*texts, *labels], TASK), client_of(request))
        vectors = finish(encoded.vectors.copy(), normalize=True)
        cosines = vectors[: len(texts)] @ vectors[len(texts) :].T
        rows = [_prediction(index, row, groups) for index, row in enumerate(cosines)]
        return json_answer({"data": rows, "usage": {"total_tokens": encoded.tokens}})

    return routes


def _prediction(index: int, cosines: NDArray[np.float32], groups: dict[str, list[str]]) -> dict[str, Any]:
    predictions, start = {}, 0
    for name, labels in groups.items():
        predictions[name] = _scored(labels, cosines[start : start + len(labels)])
        start += len(labels)
    best = {name: max(scored, key=lambda prediction: prediction["score"]) for name, scored in predictions.items()}
    answer: dict[str, Any] = {"object": "classification", "index": index}
    if list(groups) == [""]:
        return {**answer, "prediction": best[""]["label"], "score": best[""]["score"], "predictions": predictions[""]}
    return {
        **answer,
        "prediction": {name: prediction["label"] for name, prediction in best.items()},
        "score": {name: prediction["score"] for name, prediction in best.items()},
        "predictions": predictions,
    }


def _scored(labels: list[str], cosines: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Softmax over cosines, as the published examples' scores look."""
    weights = np.exp(cosines - cosines.max())
    return [
        {"label": label, "score": float(weight)} for label, weight in zip(labels, weights / weights.sum(), strict=True)
    ]
