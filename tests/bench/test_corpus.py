"""Texts to measure with: right lengths, the same every time, with a model of the published widths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_v3_connectors.bench.corpus import CORPORA, LONGEST_WORDS, RANGES, full_geometry, mixed_texts, texts_of
from jina_v3_encoder import Encoder


def test_texts_are_mixed_and_repeatable() -> None:
    texts = mixed_texts(200)
    lengths = sorted(len(text.split()) for text in texts)
    assert texts == mixed_texts(200) == texts_of("mixed", 200)
    assert lengths[0] < 40
    assert lengths[-1] > 400
    assert lengths[-1] <= LONGEST_WORDS


@pytest.mark.parametrize("corpus", RANGES)
def test_other_corpora_keep_to_their_lengths(corpus: str) -> None:
    low, high = RANGES[corpus]
    texts = texts_of(corpus, 12)
    assert all(low <= len(text.split()) < high for text in texts)
    assert texts == texts_of(corpus, 12)
    assert texts != texts_of(corpus, 12, seed=1)
    assert corpus in CORPORA


def test_the_published_widths(tmp_path: Path) -> None:
    folder = full_geometry(tmp_path, 1, 2000)
    config = json.loads((folder / "config.json").read_text())
    assert (config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]) == (1024, 4096, 16)
    assert (config["num_hidden_layers"], config["lora_rank"]) == (1, 4)
    longest = texts_of("documents", 1)[0]
    assert Encoder.from_pretrained(folder, device="cpu").count_tokens(longest) <= 8192
