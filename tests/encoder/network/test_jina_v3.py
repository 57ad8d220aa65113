"""The network itself: gradients reach what they should, and nothing table-sized is made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jina_v3_encoder.network.attention import EqualTexts, attend, rotary_table, rotate
from jina_v3_encoder.network.batching import Reading, pack
from jina_v3_encoder.network.jina_v3 import AdaptedEmbedding, AdaptedLinear, JinaV3Model
from jina_v3_encoder.testing import tiny_config

CONFIG = tiny_config()
CPU = torch.device("cpu")


def reading(length: int, bank: int | None) -> Reading:
    return Reading(np.arange(3, 3 + length), bank, np.zeros(length, dtype=np.int64))


@pytest.fixture
def model() -> JinaV3Model:
    torch.manual_seed(0)
    model = JinaV3Model(CONFIG)
    model.initialize()
    return model


def test_only_the_adapters_in_use_learn(model: JinaV3Model) -> None:
    states = model(pack([reading(5, None), reading(4, 1), reading(6, 3)], CPU))
    states.square().mean().backward()
    for name, parameter in model.named_parameters():
        if name.startswith("pooler"):
            assert parameter.grad is None
        elif name.endswith("lora_B"):
            assert parameter.grad is not None
            touched = [bool(parameter.grad[bank].abs().max() > 0) for bank in range(5)]
            assert touched == [False, True, False, True, False], name
        elif "lora" not in name:
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0, name


def test_a_fresh_adapter_changes_nothing(model: JinaV3Model) -> None:
    with torch.inference_mode():
        base, adapted = (model(pack([reading(7, bank)], CPU)) for bank in (None, 2))
    assert torch.equal(base, adapted)


def test_training_and_inference_agree(model: JinaV3Model) -> None:
    """Attention is spelled out while gradients are recorded."""
    batch = pack([reading(9, None), reading(9, None), reading(30, 4)], CPU)
    with torch.inference_mode():
        fused = model(batch)
    assert torch.allclose(model(batch), fused, atol=1e-5)


def test_a_step_lowers_the_loss(model: JinaV3Model) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = pack([reading(12, 0)], CPU)
    losses = []
    for _ in range(5):
        loss = (model(batch).mean(0) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_linear_is_the_merged_matrix() -> None:
    layer = AdaptedLinear(64, 32, CONFIG)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(10, 64)
    with torch.no_grad():
        y = layer(x, ((1, slice(2, 5)), (3, slice(5, 10))))
        for bank, rows in ((None, slice(0, 2)), (1, slice(2, 5)), (3, slice(5, 10))):
            delta = 0 if bank is None else CONFIG.lora_scaling * layer.lora_B[bank] @ layer.lora_A[bank]
            wanted = x[rows] @ (layer.weight + delta).T + layer.bias
            assert torch.allclose(y[rows], wanted, atol=1e-4)


def test_embedding_is_the_merged_table() -> None:
    table = AdaptedEmbedding(50, CONFIG)
    for parameter in table.parameters():
        torch.nn.init.normal_(parameter)
    ids = torch.tensor([4, 4, 9, 49])
    with torch.no_grad():
        y = table(ids, ((2, slice(1, 4)),))
        merged = table.weight + CONFIG.lora_scaling * table.lora_A[2] @ table.lora_B[2]
        assert torch.equal(y[0], table.weight[4])
        assert torch.allclose(y[1:], merged[ids[1:]], atol=1e-5)


def test_rotation_turns_pairs_half_a_head_apart() -> None:
    cos, sin = rotary_table(4, 8, 20000.0, torch.float32, CPU)[:, :, None, None]
    qk = torch.randn(4, 2, 3, 8)
    turned = rotate(qk, cos, sin)
    assert torch.equal(turned[0], qk[0]), "position 0 stays"
    assert torch.allclose(turned.norm(dim=-1), qk.norm(dim=-1), atol=1e-5)
    angle = 3 * 20000.0 ** (-2 / 8)
    wanted = qk[3, 0, 0, 1] * np.cos(angle) - qk[3, 0, 0, 5] * np.sin(angle)
    assert torch.allclose(turned[3, 0, 0, 1], wanted, atol=1e-5)


def test_scores_depend_on_distance_alone() -> None:
    cos, sin = rotary_table(64, 8, 20000.0, torch.float32, CPU)[:, :, None, None]
    q, k = torch.randn(8), torch.randn(8)
    turned = rotate(torch.stack((q, k)).expand(64, 2, 8)[:, :, None], cos, sin)[:, :, 0]
    assert torch.allclose(turned[10, 0] @ turned[3, 1], turned[60, 0] @ turned[53, 1], atol=1e-4)


def test_attention_stays_within_each_text() -> None:
    qk, v = torch.randn(9, 2, 2, 4), torch.randn(9, 2, 4)
    groups, starts = (EqualTexts(0, 2, 3), EqualTexts(6, 1, 3)), torch.tensor([0, 3, 6, 9])
    with torch.no_grad():
        before = attend(qk, v, groups, starts)
        v[4] += 100
        after = attend(qk, v, groups, starts)
    changed = (before != after).any(1).tolist()
    assert changed == [False] * 3 + [True] * 3 + [False] * 3
