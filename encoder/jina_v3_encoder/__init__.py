"""A fast local encoder for jina-embeddings-v3: five tasks, Matryoshka dimensions, late chunking of any length.

>>> from jina_v3_encoder import Encoder
>>> encoder = Encoder.from_pretrained("nano")
>>> encoder.encode(["first text", "second text"], task="retrieval.passage", dimensions=64).shape
(2, 64)

Importing this package does not import torch. The first use of `Encoder` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    CheckpointError,
    CheckpointMismatch,
    CheckpointNotFound,
    InputTooLong,
    InvalidDimensions,
    InvalidInput,
    InvalidSpan,
    InvalidVector,
    JinaV3Error,
    MissingExtra,
    RemoteError,
    UnknownTask,
)
from .task import Task

if TYPE_CHECKING:
    from .encoder import Encoder
    from .export.export import export_model
    from .pool import EncoderPool
    from .remote import RemoteEncoder
    from .text_encoder import TextEncoder
    from .texts.blend import Blend

__all__ = [
    "Blend",
    "CheckpointError",
    "CheckpointMismatch",
    "CheckpointNotFound",
    "Encoder",
    "EncoderPool",
    "InputTooLong",
    "InvalidDimensions",
    "InvalidInput",
    "InvalidSpan",
    "InvalidVector",
    "JinaV3Error",
    "MissingExtra",
    "RemoteEncoder",
    "RemoteError",
    "Task",
    "TextEncoder",
    "UnknownTask",
    "export_model",
]

_LAZY = {
    "Blend": "texts.blend",
    "Encoder": "encoder",
    "EncoderPool": "pool",
    "RemoteEncoder": "remote",
    "TextEncoder": "text_encoder",
    "export_model": "export.export",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
