"""Published vectors of the real weights. Set JINA_V3_WEIGHTS to a folder or hub id to run them."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.network.batching import Reading, pack
from jina_v3_encoder.task import Task

WEIGHTS = os.environ.get("JINA_V3_WEIGHTS")
pytestmark = pytest.mark.skipif(not WEIGHTS, reason="JINA_V3_WEIGHTS names no copy of the jina-embeddings-v3 weights")

# First five components of fastembed's published vectors, mean pooled and normalised, no prompt, tolerance 1e-4.
DOCUMENTS = ("Hello World", "Follow the white rabbit.")
FIRST_FIVE = {
    "retrieval.query": ([0.0623, -0.0402, 0.1706, -0.0143, 0.0617], [-0.1064, -0.0733, 0.0353, 0.0096, 0.0667]),
    "retrieval.passage": ([0.0513, -0.0247, 0.1751, -0.0075, 0.0679], [-0.0987, -0.0786, 0.09, 0.0087, 0.0577]),
    "separation": ([0.094, -0.1065, 0.1305, 0.0547, 0.0556], [0.0315, -0.1468, 0.065, 0.0568, 0.0546]),
    "classification": ([0.0606, -0.0877, 0.1384, 0.0065, 0.0722], [-0.0502, -0.119, 0.032, 0.0514, 0.0689]),
    "text-matching": ([0.0911, -0.0341, 0.1305, -0.026, 0.0576], [-0.1432, -0.05, 0.0133, 0.0464, 0.0789]),
}
# transformers' integration test: states of token 1, components 1 to 9, tolerance 1e-4.
SENTENCE = "Jina Embeddings V3 is great for semantic search."
SENTENCE_TOKENS = 17
TOKEN_STATES: dict[str | None, list[float]] = {
    None: [-3.1011, 0.8560, -0.2491, 0.9427, 1.4015, -1.1527, 1.3804, -0.5453, -1.8164],
    "retrieval.query": [-1.9765, 0.7356, -0.4414, 0.5823, 2.1507, -0.8906, 0.0233, -0.2389, -1.5708],
    "retrieval.passage": [-1.7028, 0.5688, -0.8541, 0.4696, 2.5396, -0.8374, -0.1404, -0.3123, -1.4636],
    "separation": [-3.0336, 1.4392, 0.2875, 0.7660, 0.7054, -1.1701, 1.6121, -0.6325, -1.5177],
    "classification": [-2.7150, 0.2485, 1.2297, 0.6988, 0.9804, -1.2831, 1.3446, -0.1663, -0.6874],
    "text-matching": [-1.5888, 1.0527, 0.1237, -0.0822, 1.6507, -1.0371, -0.8815, -0.8082, -0.6564],
}


@pytest.fixture(scope="module")
def weights() -> Encoder:
    return Encoder.from_pretrained(str(WEIGHTS), dtype="float32")


@pytest.mark.parametrize("task", FIRST_FIVE)
def test_first_components(weights: Encoder, task: str) -> None:
    components = weights.encode(DOCUMENTS, task=task, prompt=False)[:, :5]
    assert np.abs(components - np.array(FIRST_FIVE[task])).max() <= 1e-4


@pytest.mark.parametrize("task", TOKEN_STATES, ids=str)
def test_token_states(weights: Encoder, task: str | None) -> None:
    ids = weights.engine.tokenizer.encode([SENTENCE])[0]
    assert len(ids) == SENTENCE_TOKENS
    bank = None if task is None else weights.config.bank(Task(task))
    with torch.inference_mode():
        states = weights.engine.model(pack([Reading(ids, bank, np.zeros(len(ids), dtype=np.int64))], weights.device))
    assert np.abs(states[1, 1:10].cpu().numpy() - np.array(TOKEN_STATES[task])).max() <= 1e-4


def test_token_counts(weights: Encoder) -> None:
    assert weights.count_tokens("hello world") == 4
    assert weights.max_tokens == 8192
    assert weights.dimensions == 1024
