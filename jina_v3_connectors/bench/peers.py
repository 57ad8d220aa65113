"""Other libraries, each as one function from texts to unit vectors, on the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.task import Task

EncodeTexts = Callable[[Sequence[str]], NDArray[np.float32]]
BATCH_TEXTS = 32
"""The default of the library compared with."""


def sentence_transformers_encode(folder: Path, dtype: str, task: Task | None) -> EncodeTexts:
    """sentence-transformers on the hf layout, its adapter through PEFT.

    Raises:
        MissingExtra: sentence-transformers is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Normalize, Pooling, Transformer
    except ImportError:
        raise MissingExtra("sentence-transformers", "bench") from None
    import torch

    transformer = Transformer(str(folder), model_kwargs={"dtype": getattr(torch, dtype)})
    if task is not None:
        transformer.auto_model.load_adapter(str(folder / task.folder), adapter_name=task.folder)
        transformer.auto_model.set_adapter(task.folder)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu").eval()

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = model.encode(list(texts), batch_size=BATCH_TEXTS, convert_to_tensor=True)
        return np.asarray(vectors.float().cpu().numpy())

    return encode


PEERS = {"sentence-transformers": sentence_transformers_encode}
