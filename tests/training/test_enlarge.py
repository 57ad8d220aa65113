"""New tokens for English words: chosen by what they save, whole from then on, with rows as the model would have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.testing import tiny_config
from training.nano.corpus import Corpus, Pair
from training.nano.enlarge import NewTokens, choose_tokens, english_words, enlarge, enlarged_tokenizer
from training.nano.warm_start import tokenizer_from

NANO = find_checkpoint(Path(__file__).parents[2] / "encoder/jina_v3_encoder/nano")
STRANGE = ("zyxwvut", "qwertyuiop", "xylophagous")
"""Words that no tokenizer of nano will have."""


@pytest.fixture(scope="module")
def old() -> Tokenizer:
    return tokenizer_from(NANO.tokenizer_file)


def corpus_of(*texts: str) -> Corpus:
    return Corpus(loose=[f"{text} {number}" for number, text in enumerate(texts)])


def test_words_of_one_sided_sources_count_less() -> None:
    corpus = corpus_of("fever fever")
    corpus.pairs = [Pair("fever", "rash", "g", "medicine", "c"), Pair("熱", "发烧", "g", "reading", "c")]
    assert english_words(corpus) == {"fever": pytest.approx(2.2), "rash": pytest.approx(0.2)}


def test_words_in_most_pieces_come_first(old: Tokenizer) -> None:
    corpus = corpus_of(*["xylophagous"] * 5, "qwertyuiop", *["the"] * 50)
    size = old.get_vocab_size()
    tokens = choose_tokens(corpus, old, size + 2)
    assert tokens.words == ["xylophagous", "qwertyuiop"], "a word that is whole needs no token"
    rare = tokens.numbers[0]
    assert len(str(old.id_to_token(rare))) > 1
    assert rare < size - 1, "a token that is not used gives its number"


def test_new_tokens_are_whole_and_others_stay(old: Tokenizer, tmp_path: Path) -> None:
    size = old.get_vocab_size()
    new = NewTokens(list(STRANGE[:2]), [size - 1, size], [-12.0, -12.0])
    (tmp_path / "tokenizer.json").write_text(json.dumps(enlarged_tokenizer(NANO.tokenizer_file, new, size + 2)))
    tokenizer = tokenizer_from(tmp_path / "tokenizer.json")
    assert tokenizer.get_vocab_size() == size + 2
    assert tokenizer.encode("Zyxwvut qwertyuiops").tokens[:3] == ["<s>", "\u2581zyxwvut", "\u2581qwertyuiop"]
    assert tokenizer.token_to_id("<mask>") == size + 1
    text = "The quick brown fox, und ein Satz auf Deutsch. 这是一个句子。"
    assert tokenizer.encode(text).ids == old.encode(text).ids


def test_rows_are_those_of_a_linear_map(tmp_path: Path) -> None:
    """Where the model's rows are a linear map of the teacher's, a new word gets very nearly its own; old rows stay."""
    words = [f"\u2581{first}{second}{third}" for first in "abcdefgh" for second in "aeio" for third in "nrst"]
    vocabulary = ["<s>", "<unk>", *words, "<mask>"]
    random = np.random.default_rng(0)
    theirs = random.standard_normal((len(vocabulary), 6)).astype(np.float32)
    model = JinaV3Model(tiny_config(vocab_size=len(vocabulary) - 1))
    model.initialize()
    state = model.state_dict()
    ours = theirs @ random.standard_normal((6, state["word_embeddings.weight"].shape[1])).astype(np.float32)
    state["word_embeddings.weight"] = torch.from_numpy(ours[np.arange(len(vocabulary)) != len(vocabulary) - 2])
    model.load_state_dict(state)
    content = {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(vocabulary)}, "unk_token": "<unk>"}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": content}), encoding="utf-8")
    new = NewTokens(words[-1:], [len(vocabulary) - 2], [0.0])
    grown = enlarge(model, Tokenizer.from_file(str(tmp_path / "tokenizer.json")), theirs, new).state_dict()
    rows = grown["word_embeddings.weight"].numpy()
    assert np.allclose(rows, ours, atol=0.1), "the mask's row, too, is where the mask is now"
    assert np.array_equal(rows[:-2], ours[:-2])
    assert grown["word_embeddings.lora_A"].shape[1] == len(vocabulary)
