"""Answers against the hosted service's published interface (its OpenAPI document of April 2026, types only)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parent / "hosted_schema.json").read_text())
ANSWERS = {
    "/v1/embeddings": "EmbeddingResponse",
    "/v1/classify": "ClassificationResponse",
    "/v1/models": "ModelListResponse",
    "/v1/rerank": "RerankingResponse",
    "/v1/train": "TrainingResponse",
    "/v1/classifiers": "ClassifierSummaries",
}


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**DOCUMENT, "$ref": f"#/components/schemas/{name}"})


def conforms(value: Any, name: str) -> bool:
    return bool(validator(name).is_valid(value))


def checked_client(url: str) -> httpx.Client:
    """Every answer that it gets is validated."""
    return httpx.Client(base_url=url, timeout=60, event_hooks={"response": [check]})


def check(response: httpx.Response) -> None:
    """Validate an answer of ours; every request of a `checked_client` passes here."""
    response.read()
    if response.is_success:
        name = ANSWERS.get(response.url.path)
    else:
        name = "HTTPValidationError" if response.status_code == 422 else "ErrorResponse"
    if name is not None and response.request.method != "HEAD":
        validator(name).validate(response.json())
