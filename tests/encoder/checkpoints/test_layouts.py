from __future__ import annotations

import pytest
import torch

from jina_v3_encoder.checkpoints.layouts import NAMING, hf_adapter_slots, hf_base_slots, original_slots
from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.task import Task

PUBLISHED = ModelConfig()


@pytest.fixture(scope="module")
def shapes() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return dict(JinaV3Model(PUBLISHED).named_parameters())


def test_tensor_counts_of_the_published_files() -> None:
    assert len(original_slots(PUBLISHED)) == 492
    assert len(hf_base_slots(PUBLISHED)) == 294
    for task in Task:
        assert len(hf_adapter_slots(PUBLISHED, task)) == 294


def test_parameter_counts_of_the_published_files(shapes: dict[str, torch.Tensor]) -> None:
    def parameters(slots: object) -> int:
        assert isinstance(slots, dict)
        return sum(slot.view(shapes[slot.parameter]).numel() for slot in slots.values())

    assert parameters(original_slots(PUBLISHED)) == 572_310_396
    assert parameters(hf_base_slots(PUBLISHED)) == 559_364_096


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("embeddings.word_embeddings.parametrizations.weight.original", (250002, 1024)),
        ("embeddings.word_embeddings.parametrizations.weight.0.lora_A", (5, 250002, 4)),
        ("embeddings.word_embeddings.parametrizations.weight.0.lora_B", (5, 4, 1024)),
        ("embeddings.token_type_embeddings.parametrizations.weight.0.lora_A", (5, 1, 4)),
        ("emb_ln.weight", (1024,)),
        ("encoder.layers.23.mixer.Wqkv.parametrizations.weight.original", (3072, 1024)),
        ("encoder.layers.23.mixer.Wqkv.parametrizations.weight.0.lora_A", (5, 4, 1024)),
        ("encoder.layers.23.mixer.Wqkv.parametrizations.weight.0.lora_B", (5, 3072, 4)),
        ("encoder.layers.0.mlp.fc2.parametrizations.weight.0.lora_A", (5, 4, 4096)),
        ("pooler.dense.bias", (1024,)),
    ],
)
def test_original_shapes(shapes: dict[str, torch.Tensor], name: str, shape: tuple[int, ...]) -> None:
    slot = original_slots(PUBLISHED)[name]
    assert tuple(slot.view(shapes[slot.parameter]).shape) == shape


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("embeddings.word_embeddings.lora_embedding_A", (4, 250002)),
        ("embeddings.word_embeddings.lora_embedding_B", (1024, 4)),
        ("encoder.layers.0.self_attn.q_proj.lora_A.weight", (4, 1024)),
        ("encoder.layers.0.self_attn.v_proj.lora_B.weight", (1024, 4)),
        ("encoder.layers.0.mixer.out_proj.lora_B.weight", (1024, 4)),
        ("encoder.layers.0.mlp.fc1.lora_B.weight", (4096, 4)),
    ],
)
def test_adapter_shapes(shapes: dict[str, torch.Tensor], name: str, shape: tuple[int, ...]) -> None:
    slot = hf_adapter_slots(PUBLISHED, Task.SEPARATION)[name]
    assert tuple(slot.view(shapes[slot.parameter]).shape) == shape


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("roberta.emb_ln.weight", "emb_ln.weight"),
        ("model.embeddings.LayerNorm.bias", "emb_ln.bias"),
        ("layers.3.self_attn.o_proj.weight", "encoder.layers.3.mixer.out_proj.weight"),
        ("roberta.encoder.layers.3.norm1.weight", "encoder.layers.3.norm1.weight"),
        ("layers.3.post_attention_layernorm.weight", "encoder.layers.3.norm1.weight"),
        ("layers.3.post_mlp_layernorm.bias", "encoder.layers.3.norm2.bias"),
        (
            "base_model.model.roberta.encoder.layers.0.self_attn.q_proj.lora_A.weight",
            "encoder.layers.0.self_attn.q_proj.lora_A.weight",
        ),
        (
            "base_model.model.layers.0.self_attn.q_proj.lora_B.retrieval_query.weight",
            "encoder.layers.0.self_attn.q_proj.lora_B.weight",
        ),
        ("layers.0.mixer.k_proj.lora_A.weight", "encoder.layers.0.self_attn.k_proj.lora_A.weight"),
        ("embeddings.word_embeddings.lora_embedding_A.default", "embeddings.word_embeddings.lora_embedding_A"),
    ],
)
def test_accepted_names(name: str, canonical: str) -> None:
    assert NAMING.canonical(name) == canonical


def test_NAMINGs_are_left_alone() -> None:
    for slots in (original_slots(PUBLISHED), hf_base_slots(PUBLISHED), hf_adapter_slots(PUBLISHED, Task.SEPARATION)):
        assert all(NAMING.canonical(name) == name for name in slots)


def test_every_parameter_is_filled_once(shapes: dict[str, torch.Tensor]) -> None:
    assert {slot.parameter for slot in original_slots(PUBLISHED).values()} == set(shapes)
    split = hf_base_slots(PUBLISHED, split_qkv=True)
    thirds = [slot.third for slot in split.values() if slot.parameter == "layers.0.qkv.weight"]
    assert thirds == [0, 1, 2]
