from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from jina_v3_encoder.architecture import AnyConfig
from jina_v3_encoder.testing import tiny_config, tiny_jina_bert_config, write_random_checkpoint
from jina_v3_encoder.tokenizer_factory import BERT_SPECIALS, MAKERS, SPECIALS, WORDS, TokenizerKind, write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("factory") / "tokenizer.json"
    write_tokenizer(path, 4096)
    return Tokenizer.from_file(str(path))


def test_specials_stand_where_xlm_roberta_has_them(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIALS] == [0, 1, 2, 3]
    assert tokenizer.token_to_id("<mask>") is not None


@pytest.mark.parametrize("word", WORDS[::20])
def test_a_known_word_is_one_token(tokenizer: Tokenizer, word: str) -> None:
    assert len(tokenizer.encode(word).ids) == 3


@pytest.mark.parametrize("text", ["東京", "مرحبا", "Привет", "שלום", "नमस", "ไทย", "カナ", "가각", "😀", "né"])
def test_many_scripts_are_known(tokenizer: Tokenizer, text: str) -> None:
    assert 3 not in tokenizer.encode(text).ids


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("size", [16, 300, 4096])
def test_no_more_tokens_than_asked_for(tmp_path: Path, size: int, kind: TokenizerKind) -> None:
    write_tokenizer(tmp_path / "tokenizer.json", size, kind)
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab_size() <= size


@pytest.mark.parametrize("config", [tiny_config(), tiny_jina_bert_config(), tiny_jina_bert_config("qk-post-norm")])
def test_the_same_seed_gives_the_same_files(tmp_path: Path, config: AnyConfig) -> None:
    first, second = (write_random_checkpoint(tmp_path / name, config, seed=5) for name in ("a", "b"))
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        assert (first / file).read_bytes() == (second / file).read_bytes()


@pytest.fixture
def made(tmp_path: Path) -> Callable[[TokenizerKind], Tokenizer]:
    def make(kind: TokenizerKind) -> Tokenizer:
        write_tokenizer(tmp_path / "tokenizer.json", 4096, kind)
        return Tokenizer.from_file(str(tmp_path / "tokenizer.json"))

    return make


def test_wordpiece_as_in_english_v2(made: Callable[[TokenizerKind], Tokenizer]) -> None:
    tokenizer = made("wordpiece")
    assert tokenizer.encode("The FIRST night").tokens == [
        "[CLS]",
        "the",
        "first",
        "n",
        "##i",
        "##g",
        "##h",
        "##t",
        "[SEP]",
    ]
    assert [tokenizer.token_to_id(token) for token in BERT_SPECIALS] == [0, 1, 2, 3, 4]


def test_bytes_as_in_other_v2_models(made: Callable[[TokenizerKind], Tokenizer]) -> None:
    tokenizer = made("byte-level")
    assert tokenizer.encode(" the first").tokens == ["<s>", "\u0120the", "\u0120first", "</s>"]
    text = "Ünïcode, 東京 😀\n"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
