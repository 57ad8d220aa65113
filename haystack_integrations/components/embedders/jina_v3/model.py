"""What both embedders share: the encoder behind them, their usage, and the contract that their vectors carry."""

from __future__ import annotations

import inspect
from typing import Any

from haystack import default_to_dict
from haystack.utils import ComponentDevice

from jina_v3_connectors.shared_encoders import shared_encoder
from jina_v3_encoder.config import Quantization
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import as_task
from jina_v3_encoder.text_encoder import TextEncoder

DEFAULT_MODEL = "jinaai/jina-embeddings-v3"
CONTRACT_KEY = "embedding_contract"


def open_encoder(
    model: str,
    revision: str | None,
    device: ComponentDevice | None,
    dtype: str,
    quantize: Quantization | None,
    batch_size: int | None,
) -> TextEncoder:
    """The shared encoder of the model in this process. `batch_size` is in tokens."""
    device_name = "auto" if device is None else device.to_torch_str()
    return shared_encoder(
        model, revision=revision, device=device_name, dtype=dtype, quantize=quantize, max_batch_tokens=batch_size
    )


def usage_meta(encoder: TextEncoder, tokens: int) -> dict[str, Any]:
    return {"model": encoder.model_id, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def compact_contract(encoder: TextEncoder, task: str | None, dimensions: int | None) -> str:
    """Model, size and task of a vector in one short word for metadata."""
    known = as_task(task)
    return f"{encoder.fingerprint}/{dimensions or encoder.dimensions}/{known.value if known else 'none'}"


def saved(component: Any) -> dict[str, Any]:
    """All arguments of a component's constructor as Haystack saves them.

    Raises:
        InvalidInput: an encoder object is among them.
    """
    kind = type(component)
    if component.encoder is not None:
        raise InvalidInput(
            f"this {kind.__name__} was given an encoder object, which a saved pipeline cannot hold: pass model= instead"
        )
    names = [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "encoder")]
    return default_to_dict(component, **{name: getattr(component, name) for name in names})
