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
        labels = [label for own in groups.values() for label in own]
        found = await service.ask(Question([*texts, *labels], TASK), client_of(request))
        vectors = finish(found.vectors.copy(), normalize=True)
        cosines = vectors[: len(texts)] @ vectors[len(texts) :].T
        rows = [_prediction(index, row, groups) for index, row in enumerate(cosines)]
        return json_answer({"data": rows, "usage": {"total_tokens": found.tokens}})

    return routes


def _prediction(index: int, cosines: NDArray[np.float32], groups: dict[str, list[str]]) -> dict[str, Any]:
    found, start = {}, 0
    for name, labels in groups.items():
        found[name] = _scored(labels, cosines[start : start + len(labels)])
        start += len(labels)
    best = {name: max(scored, key=lambda item: item["score"]) for name, scored in found.items()}
    answer: dict[str, Any] = {"object": "classification", "index": index}
    if list(groups) == [""]:
        return {**answer, "prediction": best[""]["label"], "score": best[""]["score"], "predictions": found[""]}
    return {
        **answer,
        "prediction": {name: item["label"] for name, item in best.items()},
        "score": {name: item["score"] for name, item in best.items()},
        "predictions": found,
    }


def _scored(labels: list[str], cosines: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Softmax over cosines, as the published examples' scores look."""
    weights = np.exp(cosines - cosines.max())
    return [
        {"label": label, "score": float(weight)} for label, weight in zip(labels, weights / weights.sum(), strict=True)
    ]
