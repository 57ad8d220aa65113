from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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
    values = {"hidden_size": 512, "num_attention_heads": 8, "rope_parameters": {"rope_theta": 12345.0}}
    config = ModelConfig.from_dict(values)
    assert config.rotary_emb_base == 12345.0
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
        ({"lora_adaptations": 5}, "config.json"),
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


def test_a_missing_file_says_what_a_checkpoint_holds(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound, match="a checkpoint folder holds"):
        ModelConfig.from_file(tmp_path / "config.json")
