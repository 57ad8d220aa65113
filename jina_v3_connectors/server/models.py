"""Names that a request may call the model by."""

from __future__ import annotations

from typing import Any

from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.text_encoder import TextEncoder

from .errors import ApiError

NAME = "jina-embeddings-v3"
ALIASES = (NAME, f"jinaai/{NAME}", f"jina-ai/{NAME}")
OLDER = (
    "Vectors of v2 cannot be compared with those of v3: ask for v3, encode the stored texts anew with "
    "retrieval.passage into a new collection, and questions with retrieval.query"
)
RELEASED = 1726617600
"""2024-09-18, in seconds of the epoch."""


def split_model(name: str, encoder: TextEncoder) -> str | None:
    """The task that a model's name ends in, if any.

    Raises:
        ApiError: another model, or no task of v3.
    """
    base, colon, task = name.partition(":")
    if base not in (*ALIASES, encoder.model_id) or (colon and task not in TASK_NAMES):
        older = f". {OLDER}" if "embeddings-v2" in base else ""
        raise ApiError(
            400,
            "INPUT_MODEL_NOT_FOUND",
            f"model {name[:100]!r} is not served here: use {NAME}, or {NAME}:TASK with one of {', '.join(TASK_NAMES)}"
            + older,
        )
    return task or None


def model_list(encoder: TextEncoder) -> dict[str, Any]:
    """What both OpenAI's clients and the hosted service's read, and the fingerprint that contracts need."""
    names = [NAME, *(f"{NAME}:{task}" for task in TASK_NAMES)]
    return {"object": "list", "data": [_described(name, encoder) for name in names]}


def _described(name: str, encoder: TextEncoder) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": RELEASED,
        "owned_by": "jinaai",
        "name": name,
        "description": "jina-embeddings-v3 on this machine",
        "hugging_face_id": "jinaai/jina-embeddings-v3",
        "context_length": encoder.max_tokens,
        "max_output_length": encoder.dimensions,
        "input_modalities": ["text"],
        "output_modalities": ["embeddings"],
        "quantization": encoder.info.quantization or "",
        "supported_features": [],
        "supported_sampling_parameters": [],
        "datacenters": [],
        "pricing": dict.fromkeys(
            ("prompt", "completion", "image", "request", "input_cache_read", "input_cache_write"), "0"
        ),
        "loaded": {"model": encoder.model_id, "revision": encoder.revision, "fingerprint": encoder.fingerprint},
    }
