"""Token ids to feed exported graphs with, and the network that they are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.texts.tokenizer import IntArray

FIRST_WORD = 4
"""The ids below are `<s>`, `<pad>`, `</s>` and `<unk>`."""


def v3_network(encoder: Encoder) -> JinaV3Model:
    """The network of a jina-embeddings-v3."""
    model = encoder.engine.model
    assert isinstance(model, JinaV3Model)
    return model


def texts_of_lengths(lengths: Sequence[int], vocabulary: int) -> list[IntArray]:
    """Random ids between `<s>` and `</s>`, where there is room for both."""
    texts = []
    for number, length in enumerate(lengths):
        ids = np.random.default_rng(number).integers(FIRST_WORD, vocabulary, length)
        ids[-1], ids[0] = 2, 0
        texts.append(ids)
    return texts


def padded_ids(texts: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Ids and mask of a batch, padded on the right."""
    shape = len(texts), max(map(len, texts))
    ids, mask = np.ones(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    return ids, mask
