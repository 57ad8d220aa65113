from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_encoder.architecture import read_config
from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.errors import CheckpointError, UnknownTask
from jina_v3_encoder.jina_bert_config import VARIANTS, JinaBertConfig, Variant
from jina_v3_encoder.task import Task

BASE_EN = {
    "_name_or_path": "jinaai/jina-bert-implementation",
    "model_type": "bert",
    "architectures": ["JinaBertForMaskedLM"],
    "attn_implementation": None,
    "emb_pooler": "mean",
    "feed_forward_type": "geglu",
    "hidden_act": "gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_max_length": 8192,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "position_embedding_type": "alibi",
    "torch_dtype": "float16",
    "type_vocab_size": 2,
    "vocab_size": 30528,
}


def read(folder: Path, values: dict[str, Any]) -> Any:
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    return read_config(path)


def test_the_published_file_is_the_default(tmp_path: Path) -> None:
    config = read(tmp_path, BASE_EN)
    assert config == JinaBertConfig()
    assert (config.head_size, config.max_tokens) == (64, 8192), "max_position_embeddings means nothing"
    assert (config.tasks, dict(config.prompts), config.matryoshka_dimensions) == ((), {}, (768,))
    assert config.prompt(None) == ""


def test_a_file_without_the_limit_has_the_published_one(tmp_path: Path) -> None:
    values = {name: value for name, value in BASE_EN.items() if name not in ("model_max_length", "layer_norm_eps")}
    assert read(tmp_path, values) == JinaBertConfig()


@pytest.mark.parametrize("variant", VARIANTS)
def test_round_trip_through_json(tmp_path: Path, variant: Variant) -> None:
    config = JinaBertConfig(hidden_size=96, num_attention_heads=6, model_max_length=512, variant=variant)
    again = read(tmp_path, config.to_dict())
    assert JinaBertConfig.from_dict(config.to_dict(), variant) == config
    assert again.variant == "plain", "names of tensors tell, not config.json"


def test_other_position_embeddings_are_v3_or_another_architecture(tmp_path: Path) -> None:
    assert isinstance(read(tmp_path, ModelConfig().to_dict()), ModelConfig)
    with pytest.raises(CheckpointError, match=r"position_embedding_type is 'absolute'.*another architecture"):
        read(tmp_path, {**BASE_EN, "position_embedding_type": "absolute"})


def test_there_are_no_banks() -> None:
    with pytest.raises(UnknownTask, match="jina-embeddings-v2 has no tasks"):
        JinaBertConfig().bank(Task.SEPARATION)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 0}, "hidden_size must be a whole number from 1 to 16777216, got 0"),
        ({"num_attention_heads": 7}, "hidden_size 768 must be a multiple of num_attention_heads 7"),
        ({"hidden_size": 8192, "num_attention_heads": 1}, "at most 1024 times as large"),
        ({"num_hidden_layers": 10**9}, "from 1 to 1024, got 1000000000"),
        ({"model_max_length": 1}, "model_max_length must be a whole number from 2 to 131072, got 1"),
        ({"model_max_length": 2**31}, "model_max_length must be a whole number from 2 to 131072"),
        ({"layer_norm_eps": "x"}, "layer_norm_eps must be a number above 0, at most 1, got 'x'"),
        ({"pad_token_id": 30528}, "pad_token_id must be a whole number from 0 to 30527"),
        ({"feed_forward_type": "reglu"}, "feed_forward_type is 'reglu', jina-embeddings-v2 has 'geglu'.*another arch"),
        ({"feed_forward_type": ["geglu"]}, "another architecture: use one of jinaai/jina-embeddings-v2-"),
        ({"hidden_act": "relu"}, "another architecture"),
        ({"emb_pooler": "cls"}, "another architecture"),
        ({"quantization": "int3"}, "quantization 'int3' is none of"),
    ],
)
def test_impossible_values(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read(tmp_path, {**BASE_EN, **changes})


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)


@given(st.dictionaries(st.sampled_from([*BASE_EN, "quantization"]), VALUES, max_size=4))
def test_any_json_is_a_config_or_our_own_error(changes: dict[str, Any]) -> None:
    with suppress(CheckpointError):
        JinaBertConfig.from_dict({**BASE_EN, **changes})
