from __future__ import annotations

from pathlib import Path

import numpy as np

from jina_v3_connectors.bench.corpus import LONGEST_WORDS, full_geometry, mixed_texts
from jina_v3_encoder.encoder import Encoder


def test_lengths_are_mixed_as_in_a_corpus() -> None:
    lengths = np.array([len(text.split()) for text in mixed_texts(2000)])
    assert 100 <= np.median(lengths) <= 140
    assert lengths.min() >= 4
    assert lengths.max() == LONGEST_WORDS
    assert np.percentile(lengths, 90) > 2.5 * np.median(lengths), "a long tail"


def test_texts_depend_on_the_seed_alone() -> None:
    assert mixed_texts(5) == mixed_texts(5)
    assert mixed_texts(5) != mixed_texts(5, seed=1)
    assert len(set(mixed_texts(50))) == 50


def test_random_weights_of_the_published_widths(tmp_path: Path) -> None:
    encoder = Encoder.from_pretrained(full_geometry(tmp_path, 1, 2000), dtype="bfloat16", device="cpu")
    config = encoder.config
    assert (config.hidden_size, config.intermediate_size, config.num_attention_heads) == (1024, 4096, 16)
    assert (config.num_hidden_layers, config.vocab_size) == (1, 2000)
    vectors = encoder.encode(mixed_texts(3), task="retrieval.passage")
    assert vectors.shape == (3, 1024)
    words = sum(len(text.split()) for text in mixed_texts(3))
    tokens = sum(encoder.count_tokens(mixed_texts(3), task=None))
    assert words <= tokens <= 1.3 * words, "one word is about one token"
