"""What the description of the interface (openapi.json) says of the models that are served."""

from __future__ import annotations

from typing import Any

from .models import CLASSIFYING, RERANKING, Model, Models

NAMED_IN: dict[str, tuple[str, ...] | None] = {
    "EmbeddingsRequest": None,
    "TokensRequest": None,
    "ClassifyRequest": CLASSIFYING,
    "CreateTrainRequest": CLASSIFYING,
    "RerankRequest": RERANKING,
    "TextsRerankRequest": RERANKING,
    "TeiRequest": None,
    "CohereRequest": None,
    "InferenceInput": None,
    "InvocationRequest": None,
}
"""Bodies that name a model, and the tasks that its name may have: all, or only those that the address reads with."""


def describe(models: Models, schemas: dict[str, Any]) -> None:
    """Write into the description of the interface which models there are, and what each allows."""
    for name, tasks in NAMED_IN.items():
        pattern = f"^({'|'.join(model.pattern(tasks) for model in models)})$"
        schemas[name]["properties"]["model"]["anyOf"][0]["pattern"] = pattern
        if len(models) > 1:
            schemas[name]["properties"]["model"] = schemas[name]["properties"]["model"]["anyOf"][0]
            schemas[name].setdefault("required", []).append("model")
    largest = max(model.encoder.dimensions for model in models)
    for name in ("EmbeddingsRequest", "EmbeddingOptions", "TextOptions", "TeiRequest", "CohereRequest"):
        schemas[name]["properties"]["dimensions"]["anyOf"][0]["maximum"] = largest
    for model in models:
        task, sizes = _task_rule(model), _size_rule(model, largest)
        nested = {"properties": task | sizes} if task or sizes else {}
        for name, rules in (
            ("EmbeddingsRequest", task | sizes),
            ("TokensRequest", task),
            ("TeiRequest", sizes),
            ("CohereRequest", sizes),
            ("InferenceInput", {"options": nested} if nested else {}),
            ("InvocationRequest", {"parameters": nested} if nested else {}),
        ):
            if rules:
                rule: dict[str, Any] = {"properties": rules}
                if len(models) > 1:
                    rule = {"if": {"properties": {"model": {"pattern": f"^{model.pattern()}$"}}}, "then": rule}
                schemas[name].setdefault("allOf", []).append(rule)


def _task_rule(model: Model) -> dict[str, Any]:
    return {} if model.encoder.tasks else {"task": {"type": "null"}}


def _size_rule(model: Model, largest: int) -> dict[str, Any]:
    """What is allowed less than by the model of the largest size."""
    size = model.encoder.dimensions
    if not model.encoder.info.can_be_shortened:
        return {"dimensions": {"enum": [size, None]}}
    return {"dimensions": {"maximum": size}} if size < largest else {}
