"""Other libraries, each as one function from texts to unit vectors, on the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.task import Task

EncodeTexts = Callable[[Sequence[str]], NDArray[np.float32]]
BATCH_TEXTS = 32
"""The default batch size of sentence-transformers."""


def sentence_transformers_encode(folder: Path, dtype: str, task: Task | None, device: str) -> EncodeTexts:
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
    model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device=device).eval()

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = model.encode(list(texts), batch_size=BATCH_TEXTS, convert_to_tensor=True)
        return np.asarray(vectors.float().cpu().numpy())

    return encode


def transformers_encode(folder: Path, dtype: str, task: Task | None, device: str) -> EncodeTexts:
    """Transformers' own module with PEFT, texts in the order given, padded to the longest of 32, states averaged.

    Raises:
        MissingExtra: transformers is not installed.
    """
    try:
        from transformers import AutoModel
    except ImportError:
        raise MissingExtra("transformers", "bench") from None
    import torch

    model = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device).eval()
    if task is not None:
        model.load_adapter(str(folder / task.folder), adapter_name=task.folder)
        model.set_adapter(task.folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")  # noqa: S106 - a token of text

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        rows = []
        for start in range(0, len(texts), BATCH_TEXTS):
            encodings = tokenizer.encode_batch(list(texts[start : start + BATCH_TEXTS]))
            ids = torch.tensor([encoding.ids for encoding in encodings], device=device)
            mask = torch.tensor([encoding.attention_mask for encoding in encodings], device=device)
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            means = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            rows.append(torch.nn.functional.normalize(means, dim=1).cpu().numpy())
        return np.concatenate(rows)

    return encode


PEERS = {"sentence-transformers": sentence_transformers_encode, "transformers": transformers_encode}
"""fastembed has jina-embeddings-v3 (multitask) as its published ONNX file only, not for these random weights."""
