"""Texts and random weights to measure with; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.testing import write_random_checkpoint
from jina_v3_encoder.tokenizer_factory import WORDS

MEDIAN_WORDS = 120
SPREAD = 0.9
LONGEST_WORDS = 1000
RANGES = {"short": (6, 16), "long": (380, 500), "documents": (8000, 8100)}
"""Shortest and longest text of each other corpus, in words. One word is about one token."""
CORPORA = ("mixed", *RANGES)
QUERY_WORDS = 10
"""With <s> and </s> a query of 12 tokens."""


def texts_of(corpus: str, count: int, seed: int = 0) -> list[str]:
    """Texts of one of `CORPORA`."""
    if corpus == "mixed":
        return mixed_texts(count, seed)
    random = np.random.default_rng(seed)
    return _texts(random.integers(*RANGES[corpus], count), random)


def mixed_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of log-normal length, as corpora have: median 120 words, a tail to 1,000."""
    random = np.random.default_rng(seed)
    lengths = np.exp(random.normal(np.log(MEDIAN_WORDS), SPREAD, count)).clip(4, LONGEST_WORDS).astype(int)
    return _texts(lengths, random)


def _texts(lengths: np.ndarray, random: np.random.Generator) -> list[str]:
    words = np.array(WORDS)
    return [" ".join(words[random.integers(0, len(words), length)]) for length in lengths]


def full_geometry(folder: Path, layers: int, vocabulary: int) -> Path:
    """A checkpoint of the published model's widths with random weights, in the layout that every peer can read."""
    config = ModelConfig(num_hidden_layers=layers, vocab_size=vocabulary)
    return write_random_checkpoint(folder, config, layout="hf")
