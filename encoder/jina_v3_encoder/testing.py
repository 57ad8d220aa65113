"""For tests, yours and ours: an encoder without weights, and random checkpoints in the exact published layouts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .config import ModelConfig
from .errors import InputTooLong
from .task import TaskLike, as_task, as_tasks
from .texts.inputs import as_spans, as_texts
from .texts.late_chunking import Span, join_chunks, resolve_window
from .tokenizer_factory import write_tokenizer
from .usage import add_tokens
from .vectors import FloatArray, OutputType, check_dimensions, check_output_type, finish, to_output

if TYPE_CHECKING:
    from .checkpoints.layouts import Layout

WORD = re.compile(r"\w+|[^\w\s]")
TASK_SHARE = 0.15
CONTEXT_SHARE = 0.3


class FakeEncoder:
    """Deterministic stand-in for `Encoder`: no weights, no torch, same checks, texts of similar words are similar.

    A vector is the sum of its words' hashed letter trigrams, plus a direction of the task's own; in late chunking, plus
    a share of the whole document's vector.

    >>> FakeEncoder(dimensions=32).encode(["hello"], task="separation").shape
    (1, 32)
    """

    revision = None

    def __init__(self, dimensions: int = 64, max_tokens: int = 8192, model_id: str = "fake") -> None:
        self.dimensions, self.max_tokens, self.model_id = dimensions, max_tokens, model_id
        self.fingerprint = hashlib.sha256(f"{model_id}:{dimensions}".encode()).hexdigest()[:16]

    def encode(
        self,
        texts: str | Sequence[str],
        *,
        task: TaskLike | Sequence[TaskLike] = None,
        dimensions: int | None = None,
        normalize: bool = True,
        truncate: bool = False,
        prompt: bool = True,
        progress: bool = False,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]:
        """As `Encoder.encode`."""
        items = as_texts(texts)
        tasks = as_tasks(task, len(items))
        for index, item in enumerate(items):
            self._check_length(index, item, truncate)
        rows = [self._words(item) + self._direction(own) for item, own in zip(items, tasks, strict=True)]
        vectors = self._finish(rows, dimensions, normalize, output_type)
        return vectors[0] if isinstance(texts, str) else vectors

    def encode_chunks(
        self,
        chunks: Sequence[str],
        *,
        task: TaskLike = None,
        dimensions: int | None = None,
        normalize: bool = True,
        prompt: bool = True,
        separator: str = " ",
        window: int | None = None,
        overlap: int | None = None,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]:
        """As `Encoder.encode_chunks`."""
        text, spans = join_chunks(as_texts(chunks, "chunk"), separator)
        return self.encode_spans(
            text, spans, task=task, dimensions=dimensions, normalize=normalize, window=window, output_type=output_type
        )

    def encode_spans(
        self,
        text: str,
        spans: Sequence[Span],
        *,
        task: TaskLike = None,
        dimensions: int | None = None,
        normalize: bool = True,
        prompt: bool = True,
        window: int | None = None,
        overlap: int | None = None,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]:
        """As `Encoder.encode_spans`; windows are checked and not needed."""
        resolve_window(window, overlap, self.max_tokens)
        add_tokens(len(WORD.findall(text)) + 2)
        own = as_spans([spans], as_texts([text], "document"))[0]
        context = self._words(text) * CONTEXT_SHARE
        rows = [self._words(text[start:end]) + context + self._direction(as_task(task)) for start, end in own]
        return self._finish(rows, dimensions, normalize, output_type)

    def encode_documents(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        *,
        task: TaskLike = None,
        dimensions: int | None = None,
        normalize: bool = True,
        prompt: bool = True,
        window: int | None = None,
        overlap: int | None = None,
        progress: bool = False,
        output_type: OutputType = "float32",
    ) -> list[NDArray[Any]]:
        """As `Encoder.encode_documents`."""
        items = as_texts(texts, "document")
        return [
            self.encode_spans(
                item, own, task=task, dimensions=dimensions, normalize=normalize, window=window, output_type=output_type
            )
            for item, own in zip(items, as_spans(spans, items), strict=True)
        ]

    def count_tokens(
        self, texts: str | Sequence[str], task: TaskLike = None, *, prompt: bool = True
    ) -> int | list[int]:
        """Words and punctuation marks, plus two."""
        counts = [len(WORD.findall(text)) + 2 for text in as_texts(texts)]
        return counts[0] if isinstance(texts, str) else counts

    def _check_length(self, index: int, text: str, truncate: bool) -> None:
        tokens = len(WORD.findall(text)) + 2
        if tokens > self.max_tokens and not truncate:
            raise InputTooLong(index, tokens, self.max_tokens)
        add_tokens(min(tokens, self.max_tokens))

    def _finish(
        self, rows: list[FloatArray], dimensions: int | None, normalize: bool, output_type: OutputType
    ) -> NDArray[Any]:
        check_output_type(output_type)
        size = check_dimensions(dimensions, self.dimensions)
        table = np.array(rows, dtype=np.float32).reshape(len(rows), self.dimensions)[:, :size].copy()
        return to_output(finish(table, normalize=normalize), output_type)

    def _words(self, text: str) -> FloatArray:
        words = WORD.findall(text.lower()) or [" "]
        return np.asarray(np.mean([self._word(word) for word in words], axis=0), dtype=np.float32)

    def _word(self, word: str) -> FloatArray:
        padded = f"^{word}$"
        grams = [padded[start : start + 3] for start in range(len(padded) - 2)]
        return np.asarray(np.mean([self._hashed(gram) for gram in grams], axis=0), dtype=np.float32)

    def _direction(self, task: object) -> FloatArray:
        return np.float32(TASK_SHARE) * self._hashed(f"task {task}")

    def _hashed(self, key: str) -> FloatArray:
        seed = int.from_bytes(hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest(), "little")
        return np.asarray(np.random.default_rng(seed).standard_normal(self.dimensions), dtype=np.float32)


def tiny_config(**changes: Any) -> ModelConfig:
    """A small geometry with everything the real one has; `changes` are fields of `ModelConfig`."""
    sizes = {"vocab_size": 4096, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    rest = {"intermediate_size": 128, "max_position_embeddings": 514, "matryoshka_dimensions": (16, 32, 64)}
    return ModelConfig(**{**sizes, **rest, **changes})


def write_random_checkpoint(
    folder: Path,
    config: ModelConfig | None = None,
    *,
    layout: Layout = "original",
    seed: int = 0,
    dtype: str = "bfloat16",
) -> Path:
    """Write a checkpoint with random weights and a working tokenizer.json; the same seed gives the same model.

    Every adapter, bias and norm is away from its trivial value, so that leaving one out changes vectors.
    """
    import torch

    from .checkpoints.save import save_checkpoint
    from .network.device import DTYPES
    from .network.jina_v3 import JinaV3Model

    config = config or tiny_config()
    generator = torch.Generator().manual_seed(seed)
    model = JinaV3Model(config).requires_grad_(False).to(DTYPES[dtype])
    for name, parameter in model.named_parameters():
        deviation = 0.3 if name.endswith("lora_A") else 0.05
        parameter.normal_(0.0, deviation, generator=generator)
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1.0)
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder / "tokenizer.json", config.vocab_size)
    save_checkpoint(model, folder / "tokenizer.json", folder, layout, DTYPES[dtype])
    return folder
