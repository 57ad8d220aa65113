"""Options and values that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jina_v3_encoder.task import TASK_NAMES

if TYPE_CHECKING:
    from jina_v3_encoder import Encoder

MODEL_VARIABLE = "JINA_V3_MODEL"
DEFAULT_MODEL = "nano"
NO_TASK = "none"
STORE_FORMS = "qdrant:./folder, qdrant+http://host:6333, milvus:./folder.db, milvus+http://host:19530, pinecone:index"

_F = TypeVar("_F", bound=Callable[..., Any])


def model_options(function: _F) -> _F:
    """--model, --revision, --device, --dtype."""
    options = (
        click.option(
            "--model",
            envvar=MODEL_VARIABLE,
            show_envvar=True,
            help=f"Folder, hub id such as jinaai/jina-embeddings-v3, or {DEFAULT_MODEL}: the small bundled model.",
        ),
        click.option("--revision", help="Branch, tag or commit of a hub model."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …"),
        click.option("--dtype", default="auto", show_default=True, help="auto, float32, bfloat16 or float16."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def task_option(default: str) -> Callable[[_F], _F]:
    choices = click.Choice([*TASK_NAMES, NO_TASK])
    return click.option("--task", type=choices, default=default, show_default=True, help="Adapter and prompt.")


def as_task_name(task: str) -> str | None:
    return None if task == NO_TASK else task


def load_encoder(model: str | None, revision: str | None, device: str, dtype: str) -> Encoder:
    from jina_v3_encoder import Encoder

    return Encoder.from_pretrained(model or DEFAULT_MODEL, revision=revision, device=device, dtype=dtype)
