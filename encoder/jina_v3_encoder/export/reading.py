"""The texts that every exported graph has to read before it is handed out, and what it must answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..encoder import Encoder
from ..errors import CheckpointMismatch
from ..network.padded import task_id
from ..task import Task
from ..texts.tokenizer import IntArray
from ..vectors import FloatArray

SENTENCE = "What is a lightsaber? Die Hauptstadt Japans ist Tokio. 東京は日本の首都です。 "
TEXTS = ("a", SENTENCE, SENTENCE * 12)
"""Of different lengths, so that padding is read too."""
LOWEST_COSINE = {None: 0.9999, "int8": 0.99}


@dataclass(frozen=True)
class PaddedTexts:
    """Ids and mask (B, S), task ids (B,): what a graph is fed with."""

    ids: IntArray
    mask: IntArray
    task_ids: IntArray

    @classmethod
    def of(cls, texts: Sequence[IntArray], task_ids: Sequence[int], pad: int) -> PaddedTexts:
        shape = len(texts), max(map(len, texts))
        ids, mask = np.full(shape, pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, text_ids in enumerate(texts):
            ids[row, : len(text_ids)], mask[row, : len(text_ids)] = text_ids, 1
        return cls(ids, mask, np.asarray(task_ids, dtype=np.int64))

    def feeds(self) -> dict[str, IntArray]:
        """By the names of the graph's inputs."""
        return {"input_ids": self.ids, "attention_mask": self.mask, "task_id": self.task_ids}


@dataclass(frozen=True)
class Trial:
    """Padded texts, and the vectors that the encoder gives for them."""

    texts: PaddedTexts
    wanted: FloatArray

    @classmethod
    def of(cls, encoder: Encoder, tasks: Sequence[Task | None]) -> Trial:
        """Every text with every task."""
        config = encoder.config
        pairs = [(text, task) for task in tasks for text in TEXTS]
        texts, text_tasks = [text for text, _ in pairs], [task for _, task in pairs]
        ids = [encoder.engine.cut_ids(text) for text in encoder.engine.text_ids(texts, text_tasks, prompt=True)]
        wanted = encoder.encode(texts, task=text_tasks, truncate=True)
        return cls(PaddedTexts.of(ids, [task_id(config, task) for task in text_tasks], config.pad_token_id), wanted)

    def check(self, vectors: FloatArray, file: str, quantize: str | None) -> None:
        """Compare what a file computes with what the encoder does.

        Raises:
            CheckpointMismatch: a vector is another one.
        """
        cosine, lowest = float((vectors * self.wanted).sum(axis=1).min()), LOWEST_COSINE[quantize]
        if not cosine >= lowest:
            raise CheckpointMismatch(
                f"{file} gives vectors of cosine {cosine:.4f} to the encoder's, at least {lowest} is needed; nothing "
                "was written. " + ("Export without int8" if quantize else "Use the versions in constraints.txt")
            )
