from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_encoder.config import PROMPTS, ModelConfig
from jina_v3_encoder.errors import CheckpointError, CheckpointNotFound
from jina_v3_encoder.task import Task


def test_defaults_are_the_published_model() -> None:
    config = ModelConfig()
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (1024, 24, 16)
    assert config.head_size == 64
    assert config.max_tokens == 8192
    assert config.rotary_emb_base == 20000.0
    assert config.lora_scaling == 0.25


def test_the_published_file_has_no_window_of_late_chunking() -> None:
    assert "late_chunking_window" not in ModelConfig().to_dict()
    config = ModelConfig(late_chunking_window=512)
    assert ModelConfig.from_dict(config.to_dict()).late_chunking_window == 512


def test_banks_follow_the_order_of_the_file() -> None:
    swapped = ("retrieval.passage", "retrieval.query", "separation", "classification", "text-matching")
    assert ModelConfig().bank(Task.RETRIEVAL_PASSAGE) == 1
    assert ModelConfig(lora_adaptations=swapped).bank(Task.RETRIEVAL_PASSAGE) == 0


def test_prompts() -> None:
    config = ModelConfig()
    assert config.prompt(Task.RETRIEVAL_QUERY) == "Represent the query for retrieving evidence documents: "
    assert config.prompt(Task.RETRIEVAL_PASSAGE) == "Represent the document for retrieval: "
    assert config.prompt(Task.SEPARATION) == ""
    assert config.prompt(None) == ""


def test_round_trip_through_json(tmp_path: Path) -> None:
    config = ModelConfig(hidden_size=64, num_attention_heads=4, matryoshka_dimensions=(16, 64), lora_rank=2)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_dict()))
    read = ModelConfig.from_file(path)
    assert read.to_dict() == config.to_dict()
    assert {task: text for task, text in read.task_instructions.items() if text} == PROMPTS


def test_a_resaved_hf_config_takes_the_base_from_rope_parameters_and_the_rest_from_the_published_values() -> None:
    values = {"hidden_size": 512, "num_attention_heads": 8, "rope_parameters": {"rope_theta": 12345}}
    config = ModelConfig.from_dict(values)
    assert repr(config.rotary_emb_base) == "12345.0", "the fingerprint tells 12345 from 12345.0"
    assert config.matryoshka_dimensions == (32, 64, 128, 256, 512)
    assert config.task_instructions == PROMPTS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 0}, "hidden_size must be a whole number from 1 to 16777216, got 0"),
        ({"hidden_size": "64"}, "hidden_size"),
        ({"num_hidden_layers": True}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**9}, "from 1 to 1024, got 1000000000"),
        ({"hidden_size": 100, "num_attention_heads": 16}, "even multiple"),
        ({"hidden_size": 48, "num_attention_heads": 16}, "even multiple"),
        ({"max_position_embeddings": 3}, "no room"),
        ({"lora_adaptations": ["separation"]}, "five tasks"),
        ({"rotary_emb_base": 0}, "rotary_emb_base"),
        ({"hidden_act": "relu"}, "another architecture"),
        ({"position_embedding_type": "absolute"}, "another architecture"),
        ({"emb_pooler": "cls"}, "another architecture"),
        ({"lora_adaptations": 5}, r"config\.json: lora_adaptations must be a list of texts"),
        ({"lora_adaptations": ["separation", 5]}, "lora_adaptations must be a list"),
        ({"lora_adaptations": [["separation"]]}, "lora_adaptations must be a list"),
        ({"lora_alpha": "x"}, "lora_alpha must be a number above 0, at most 1e\\+06, got 'x'"),
        ({"lora_alpha": -1}, "lora_alpha"),
        ({"lora_alpha": [1]}, "lora_alpha"),
        ({"lora_alpha": True}, "lora_alpha"),
        ({"lora_rank": 4.0}, "lora_rank"),
        ({"layer_norm_eps": "1e-5"}, "layer_norm_eps must be a number above 0, at most 1, got '1e-5'"),
        ({"layer_norm_eps": 0}, "layer_norm_eps"),
        ({"layer_norm_eps": {}}, "layer_norm_eps"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps"),
        ({"rotary_emb_base": float("inf")}, "rotary_emb_base must be a number above 1, at most 1e\\+12, got inf"),
        ({"rotary_emb_base": 10**400}, "rotary_emb_base"),
        ({"rotary_emb_base": "20000"}, "rotary_emb_base"),
        ({"rotary_emb_base": None, "rope_parameters": {"rope_theta": "x"}}, "rotary_emb_base"),
        ({"rotary_emb_base": None, "rope_parameters": {"rope_theta": 10**400}}, "rotary_emb_base"),
        ({"task_instructions": ["a"]}, r"task_instructions must be an object of a text for each task, got \['a'\]"),
        ({"task_instructions": "a"}, "task_instructions must be an object"),
        ({"task_instructions": {"retrieval.query": 5}}, "instruction of 'retrieval.query' must be a text"),
        ({"task_instructions": {"retrieval.query": "x" * 10_001}}, "at most 10000 characters"),
        ({"matryoshka_dimensions": 5}, "matryoshka_dimensions must be a list"),
        ({"matryoshka_dimensions": ["32"]}, "matryoshka_dimensions must be a whole number"),
        ({"matryoshka_dimensions": [0]}, "matryoshka_dimensions must be a whole number from 1"),
        ({"matryoshka_dimensions": None, "hidden_size": "64"}, "hidden_size must be a whole number"),
        ({"max_position_embeddings": 2**24}, "max_position_embeddings must be a whole number from 1 to 131072"),
        ({"hidden_size": 8192, "num_attention_heads": 1}, "at most 1024 times as large"),
        ({"bos_token_id": -1}, "bos_token_id must be a whole number from 0"),
        ({"eos_token_id": 250_002}, "eos_token_id must be a whole number from 0 to 250001, got 250002"),
        ({"pad_token_id": "1"}, "pad_token_id"),
        ({"late_chunking_window": 1}, "late_chunking_window must be a whole number from 2 to 8192, got 1"),
        ({"late_chunking_window": 8193}, "late_chunking_window must be a whole number from 2 to 8192, got 8193"),
        ({"late_chunking_window": "512"}, "late_chunking_window"),
        ({"quantization": ["int8"]}, "quantization"),
        ({"quantization": {}}, "quantization"),
    ],
)
def test_impossible_values(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        ModelConfig.from_dict({**ModelConfig().to_dict(), **changes})


@pytest.mark.parametrize("content", ["{", "[]", '"text"', "\x00"])
def test_files_that_are_no_config(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        ModelConfig.from_file(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = [
    *ModelConfig().to_dict(),
    "late_chunking_window",
    "rope_parameters",
    "quantization",
    "emb_pooler",
    "truncate_dim",
]


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_json_is_a_config_or_our_own_error(changes: dict[str, Any]) -> None:
    with suppress(CheckpointError):
        ModelConfig.from_dict({**ModelConfig().to_dict(), **changes})


def test_a_missing_file_says_what_a_checkpoint_holds(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound, match="a checkpoint folder holds"):
        ModelConfig.from_file(tmp_path / "config.json")
