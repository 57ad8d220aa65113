from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jina_v3_encoder.errors import CheckpointError, CheckpointMismatch, InputTooLong, InvalidInput
from jina_v3_encoder.testing import tiny_config
from jina_v3_encoder.texts.tokenizer import TextTokenizer
from jina_v3_encoder.tokenizer_factory import write_tokenizer


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path, 4096)
    return path


@pytest.fixture(scope="module")
def tokenizer(path: Path) -> TextTokenizer:
    return TextTokenizer(path, tiny_config())


def test_two_words_are_four_tokens(tokenizer: TextTokenizer) -> None:
    (ids,) = tokenizer.encode(["the world"])
    assert (ids[0], ids[-1]) == (0, 2)
    assert tokenizer.encode([""])[0].tolist() == [0, 2]


def test_truncation_and_padding_of_the_file_are_switched_off(path: Path, tmp_path: Path) -> None:
    values = json.loads(path.read_text())
    values["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    values["padding"] = {
        "strategy": {"Fixed": 32},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 1,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    limited = tmp_path / "tokenizer.json"
    limited.write_text(json.dumps(values))
    (ids,) = TextTokenizer(limited, tiny_config()).encode(["the of and to in is that for it was on"])
    assert len(ids) == 13


def test_last_characters_partition_the_text(tokenizer: TextTokenizer) -> None:
    text, prompt = "the world 東京", "Represent: "
    (tokens,) = tokenizer.encode_with_offsets([text], prompt)
    last = tokens.last_characters
    assert last[0] == -1
    assert last[-1] == len(text)
    assert np.all(np.diff(last[1:-1]) >= 0)
    assert (last[1:-1] < 0).sum() > 0
    assert last[-2] == len(text) - 1


def test_a_word_after_the_prompt_belongs_to_the_text(tokenizer: TextTokenizer) -> None:
    """The space that ends the prompt is part of the first word's token, whose last character is the text's."""
    (tokens,) = tokenizer.encode_with_offsets(["the end"], "say ")
    assert tokens.last_characters[1:-1].max() == 6
    assert 2 in tokens.last_characters


def test_cut_keeps_the_end_token(tokenizer: TextTokenizer) -> None:
    ids = np.arange(10, dtype=np.int64)
    assert tokenizer.cut(ids, 4).tolist() == [0, 1, 2, 2]
    assert tokenizer.cut(ids, 10) is ids


def test_fit_names_index_tokens_and_limit(tokenizer: TextTokenizer) -> None:
    ids = [np.zeros(3, dtype=np.int64), np.zeros(9, dtype=np.int64)]
    with pytest.raises(InputTooLong, match="text 1 has 9 tokens with its prompt, the limit is 5") as caught:
        tokenizer.fit(ids, 5, truncate=False)
    assert (caught.value.index, caught.value.tokens, caught.value.limit) == (1, 9, 5)
    assert [len(text_ids) for text_ids in tokenizer.fit(ids, 5, truncate=True)] == [3, 5]


def test_lone_surrogates_are_located(tokenizer: TextTokenizer) -> None:
    with pytest.raises(InvalidInput, match="text 11 holds a lone surrogate at character 2"):
        tokenizer.encode(["fine", "ab\ud800"], 10)
    with pytest.raises(InvalidInput, match="text 0 holds a lone surrogate"):
        tokenizer.encode_with_offsets(["\udfff"], "prompt ")


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"model": {}}'])
def test_damaged_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match="not a readable tokenizer"):
        TextTokenizer(path, tiny_config())


def test_a_tokenizer_larger_than_the_table(path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=r"has \d+ tokens, config\.json has rows for 100"):
        TextTokenizer(path, tiny_config(vocab_size=100))


def test_a_tokenizer_with_other_specials(path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="expected it between <s> 5 and </s> 2"):
        TextTokenizer(path, tiny_config(bos_token_id=5))
