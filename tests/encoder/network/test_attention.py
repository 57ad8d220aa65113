"""Attention of packed texts against the plain formula, with and without gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from jina_v3_encoder.network import attention as module
from jina_v3_encoder.network.alibi import Alibi
from jina_v3_encoder.network.attention import EqualTexts, rotary_table, rotate

HEADS, SIZE = 3, 8


def attend(qk: Tensor, v: Tensor, groups: tuple[EqualTexts, ...]) -> Tensor:
    lengths = [group.length for group in groups for _ in range(group.texts)]
    return module.attend(qk, v, groups, torch.tensor([0, *lengths]).cumsum(0).int())


def packed(lengths: list[int]) -> tuple[Tensor, Tensor, tuple[EqualTexts, ...]]:
    """Random queries, keys and values; neighbouring equal lengths share a group."""
    torch.manual_seed(0)
    tokens = sum(lengths)
    groups: list[EqualTexts] = []
    start = 0
    for length in lengths:
        if groups and groups[-1].length == length:
            groups[-1] = groups[-1]._replace(texts=groups[-1].texts + 1)
        else:
            groups.append(EqualTexts(start, 1, length))
        start += length
    return torch.randn(tokens, 2, HEADS, SIZE), torch.randn(tokens, HEADS, SIZE), tuple(groups)


def plain(qk: Tensor, v: Tensor, lengths: list[int]) -> Tensor:
    """softmax(q k / sqrt(d)) v, one text and one head at a time."""
    rows = []
    start = 0
    for length in lengths:
        tokens = slice(start, start + length)
        heads = []
        for head in range(HEADS):
            scores = qk[tokens, 0, head] @ qk[tokens, 1, head].T / math.sqrt(SIZE)
            heads.append(torch.softmax(scores, dim=1) @ v[tokens, head])
        rows.append(torch.cat(heads, dim=1))
        start += length
    return torch.cat(rows)


@pytest.mark.parametrize("lengths", [[1], [5], [4, 4, 4], [2, 2, 7, 1, 1, 3], [600], [3, 600, 3]], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_each_text_sees_itself_only(lengths: list[int], training: bool) -> None:
    qk, v, groups = packed(lengths)
    with torch.set_grad_enabled(training):
        mixed = attend(qk, v, groups)
    assert torch.allclose(mixed, plain(qk, v, lengths), atol=1e-5)


@pytest.mark.parametrize("tile", [1, 300, 5000, 2**20])
@pytest.mark.parametrize("lengths", [[1], [70, 70, 70], [200, 3, 3], [150]], ids=str)
def test_tiles_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, tile: int, lengths: list[int]) -> None:
    monkeypatch.setattr(module, "TILE", tile)
    monkeypatch.setattr(module, "MIN_TILE_ROWS", 7)
    qk, v, groups = packed(lengths)
    with torch.inference_mode():
        assert torch.allclose(attend(qk, v, groups), plain(qk, v, lengths), atol=1e-5)


@pytest.mark.parametrize("lengths", [[1], [5, 5], [300, 300], [2000]], ids=str)
@pytest.mark.parametrize("sharpness", [1, 3])
def test_bfloat16_rounds_scores_and_little_else(lengths: list[int], sharpness: int) -> None:
    qk, v, groups = packed(lengths)
    qk, v = (qk * sharpness).bfloat16(), v.bfloat16()
    exact = plain(qk.double(), v.double(), lengths)
    with torch.inference_mode():
        mixed = attend(qk, v, groups).double()
    assert (mixed - exact).norm() <= 0.01 * sharpness * exact.norm()


def test_long_texts_hold_one_tile_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    softmax = torch.softmax

    def counted(x: Tensor, dim: int) -> Tensor:
        held.append(x.numel())
        return softmax(x, dim=dim)

    monkeypatch.setattr(torch, "softmax", counted)
    qk, v, groups = packed([5000])
    with torch.inference_mode():
        attend(qk.bfloat16(), v.bfloat16(), groups)
    assert max(held) <= module.TILE
    assert sum(held) >= HEADS * 5000**2


def test_gradients_are_those_of_the_plain_formula() -> None:
    lengths = [3, 3, 5, 2]
    qk, v, groups = packed(lengths)
    weight = torch.randn(sum(lengths), HEADS * SIZE)
    gradients = []
    for ours in (True, False):
        qk_leaf, v_leaf = qk.clone().requires_grad_(), v.clone().requires_grad_()
        mixed = attend(qk_leaf, v_leaf, groups) if ours else plain(qk_leaf, v_leaf, lengths)
        gradients.append(torch.autograd.grad((mixed * weight).sum(), (qk_leaf, v_leaf)))
    for gradient, wanted in zip(*gradients, strict=True):
        assert torch.allclose(gradient, wanted, atol=1e-5)


def test_the_spelled_out_form_is_for_short_texts_in_training_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    explicit = module._explicit_attention

    def counted(query: Tensor, key: Tensor, value: Tensor, alibi: Alibi | None) -> Tensor:
        calls.append(query.shape[-2])
        return explicit(query, key, value, alibi)

    monkeypatch.setattr(module, "_explicit_attention", counted)
    limit = module.EXPLICIT_TRAINING_LENGTH
    qk, v, groups = packed([4, limit, limit + 1])
    attend(qk, v, groups)
    assert calls == [4, limit]
    with torch.no_grad():
        attend(qk, v, groups)
    assert calls == [4, limit]


def test_rotation_is_by_position_and_keeps_lengths() -> None:
    cos, sin = rotary_table(10, SIZE, 10_000.0, torch.float32, torch.device("cpu"))
    assert cos.shape == sin.shape == (10, SIZE // 2)
    qk = torch.randn(10, 2, HEADS, SIZE)
    turned = rotate(qk, cos[:, None, None], sin[:, None, None])
    assert torch.equal(turned[0], qk[0]), "position 0 is not turned"
    assert torch.allclose(turned.norm(dim=-1), qk.norm(dim=-1), atol=1e-5)


def test_scores_depend_on_distance_alone() -> None:
    """The point of rotary positions: <R(m) q, R(n) k> = f(m - n)."""
    cos, sin = rotary_table(50, SIZE, 20_000.0, torch.float32, torch.device("cpu"))
    query, key = torch.randn(SIZE), torch.randn(SIZE)

    def score(m: int, n: int) -> float:
        pair = torch.stack((query, key))[None, :, None]
        at = [rotate(pair, cos[p, None, None, None], sin[p, None, None, None])[0, :, 0] for p in (m, n)]
        return float(at[0][0] @ at[1][1])

    assert score(3, 1) == pytest.approx(score(40, 38), abs=1e-4)
    assert score(3, 1) != pytest.approx(score(3, 2), abs=1e-4)


def test_the_first_frequency_is_one_radian_a_position() -> None:
    cos, sin = rotary_table(3, SIZE, 10_000.0, torch.float32, torch.device("cpu"))
    assert float(cos[2, 0]) == pytest.approx(math.cos(2))
    assert float(sin[2, -1]) == pytest.approx(math.sin(2 * 10_000 ** (-6 / 8)))


def test_the_kernel_for_packed_texts_gets_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs on GPUs only; here a plain one stands in for it and reads the same arguments."""
    from torch.nn.attention import varlen

    lengths = [4, 4, 1, 6]

    def stand_in(
        q: Tensor, k: Tensor, v: Tensor, starts: Tensor, ends: Tensor, *longest: int, num_splits: int
    ) -> Tensor:
        assert (longest, num_splits, starts.dtype) == ((6, 6), 1, torch.int32)
        bounds = starts.tolist()
        assert bounds == ends.tolist() == [0, 4, 8, 9, 15]
        return plain(torch.stack((q, k), 1), v, lengths).view(v.shape)

    monkeypatch.setattr(varlen, "varlen_attn", stand_in)
    qk, v, groups = packed(lengths)
    mixed = module._varlen_attention(qk, v, groups, torch.tensor([0, 4, 8, 9, 15], dtype=torch.int32))
    assert torch.allclose(mixed, plain(qk, v, lengths), atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("lengths", [[1], [5, 5], [70, 3, 300, 3], [4000]], ids=str)
def test_packed_texts_on_a_gpu(lengths: list[int]) -> None:
    qk, v, groups = packed(lengths)
    qk, v = (torch.cat([part] * 8, dim=-1).to("cuda", torch.bfloat16) for part in (qk, v))
    starts = torch.tensor([0, *lengths], device="cuda").cumsum(0).int()
    with torch.inference_mode():
        mixed = module.attend(qk, v, groups, starts).cpu().double()
    wanted = plain_wide(qk.cpu().double(), v.cpu().double(), lengths)
    assert (mixed - wanted).norm() <= 0.01 * wanted.norm()


def plain_wide(qk: Tensor, v: Tensor, lengths: list[int]) -> Tensor:
    """`plain` for another head size."""
    parts = zip(torch.split(qk, lengths), torch.split(v, lengths), strict=True)
    heads = [tuple(part.transpose(0, 1) for part in (*pair.unbind(1), text_v)) for pair, text_v in parts]
    return torch.cat(
        [
            (torch.softmax(query @ key.transpose(1, 2) / math.sqrt(query.shape[-1]), -1) @ value)
            .transpose(0, 1)
            .flatten(1)
            for query, key, value in heads
        ]
    )
