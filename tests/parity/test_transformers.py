"""The same vectors as transformers' own JinaEmbeddingsV3Model, an independent implementation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.testing import tiny_config, write_random_checkpoint
from jina_v3_encoder.tokenizer_factory import WORDS

from ..support.reference import Reference

TOLERANCE = 2e-5
SIZES = {
    "narrow": tiny_config(),
    "odd": tiny_config(hidden_size=120, num_attention_heads=6, num_hidden_layers=3, intermediate_size=200, lora_rank=3),
    "base 10000": tiny_config(rotary_emb_base=10000.0, lora_alpha=8, lora_rank=2),
    "full width": ModelConfig(num_hidden_layers=2, vocab_size=2048),
}
TASKS = (*TASK_NAMES, None)
TEXTS = (
    "hello world",
    "",
    " ",
    "Ａｂｃ ﬁ ligature ①",
    "東京は日本の首都です。",
    "مرحبا بالعالم",
    "😀 emoji 👩‍👩‍👧",
    "  leading,\ttabs\nand\r\nlines  ",
    "what is the find of a long day " * 9,
)


class Pair:
    """A reference and the two layouts loaded by us."""

    def __init__(self, folder: Path, config: ModelConfig) -> None:
        original = write_random_checkpoint(folder / "original", config, seed=3)
        hf = write_random_checkpoint(folder / "hf", config, seed=3, layout="hf")
        self.reference = Reference(original, config)
        self.encoders = [Encoder.from_pretrained(path, dtype="float32", device="cpu") for path in (original, hf)]

    def assert_matches(self, texts: Sequence[str], tasks: Sequence[str | None], dimensions: int | None = None) -> None:
        wanted = [self.reference.encode(text, task, dimensions) for text, task in zip(texts, tasks, strict=True)]
        for encoder in self.encoders:
            vectors = encoder.encode(texts, task=tasks, dimensions=dimensions)
            assert np.abs(vectors - np.stack(wanted)).max() <= TOLERANCE


@pytest.fixture(scope="module", params=SIZES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("parity"), SIZES[request.param])


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_every_task(pair: Pair, task: str | None) -> None:
    pair.assert_matches(TEXTS, [task] * len(TEXTS))


def test_tasks_differ(pair: Pair) -> None:
    vectors = pair.encoders[0].encode(["hello world"] * len(TASKS), task=TASKS, prompt=False)
    cosines = vectors @ vectors.T
    assert cosines[~np.eye(len(TASKS), dtype=bool)].max() < 0.999


def test_mixed_tasks_in_one_batch(pair: Pair) -> None:
    texts = [text for text in TEXTS for _ in TASKS]
    pair.assert_matches(texts, [*TASKS] * len(TEXTS))


@pytest.mark.parametrize("dimensions", [1, 7, 32, 64])
def test_matryoshka_slice_is_cut_then_normalised(pair: Pair, dimensions: int) -> None:
    for encoder in pair.encoders:
        encoder._warned.add(dimensions)
    pair.assert_matches(TEXTS, ["retrieval.passage"] * len(TEXTS), dimensions)


def test_prompts_off(pair: Pair) -> None:
    wanted = pair.reference.encode("hello world", "retrieval.query", prompt=False)
    vector = pair.encoders[0].encode("hello world", task="retrieval.query", prompt=False)
    assert np.abs(vector - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("length", [1, 2, 3, 17, 128, 512])
def test_lengths(pair: Pair, length: int) -> None:
    text = " ".join(WORDS[(7 * n) % len(WORDS)] for n in range(max(0, length - 2)))
    assert len(pair.reference.ids(text, None)) in (length, 2)
    pair.assert_matches([text] * 2, [None, "separation"])


@pytest.mark.parametrize("length", [2047, 8192])
def test_long_texts_at_full_width(tmp_path: Path, length: int) -> None:
    config = ModelConfig(num_hidden_layers=1, vocab_size=2048)
    text = " ".join(WORDS[(7 * n) % len(WORDS)] for n in range(length - 2))
    pair = Pair(tmp_path, config)
    assert len(pair.reference.ids(text, None)) == length
    pair.assert_matches([text], ["text-matching"])


@pytest.mark.parametrize("text", TEXTS)
def test_token_ids_are_those_of_the_file(pair: Pair, text: str) -> None:
    encoder = pair.encoders[0]
    assert encoder.engine.tokenizer.encode([text])[0].tolist() == pair.reference.ids(text, None)


def test_the_normalizer_is_kept(pair: Pair) -> None:
    """AutoTokenizer would rebuild the tokenizer without NFKC: full-width and ligature forms must fold."""
    encode = pair.encoders[0].engine.tokenizer.encode
    for folded, plain in (("Ａｂｃ", "Abc"), ("ﬁ", "fi"), ("ｶﾅ", "カナ")):
        assert encode([folded])[0].tolist() == encode([plain])[0].tolist()


def test_bfloat16_stays_close(pair: Pair, tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path, pair.encoders[0].config, seed=3)
    coarse = Encoder.from_pretrained(folder, dtype="bfloat16", device="cpu")
    texts, tasks = TEXTS * 6, [*TASKS] * len(TEXTS)
    cosines = (coarse.encode(texts, task=tasks) * pair.encoders[0].encode(texts, task=tasks)).sum(1)
    assert cosines.mean() > 0.999
    assert cosines.min() > 0.995
