"""ALiBi: the slopes, and attention with them in every way of computing against the plain formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from jina_v3_encoder.network import attention as module
from jina_v3_encoder.network.alibi import Alibi, alibi_slopes
from jina_v3_encoder.network.attention import AttentionChoice, EqualTexts, attend, attend_rows

HEADS, SIZE = 6, 8
TILES, FUSED = (AttentionChoice.everywhere(tiles=tiles) for tiles in (True, False))
BETWEEN = [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]


@pytest.mark.parametrize(
    ("heads", "slopes"),
    [
        (1, [2**-8]),
        (2, [2**-4, 2**-8]),
        (3, [2**-4, 2**-8, 2**-2]),
        (8, [2**-n for n in range(1, 9)]),
        (12, [2**-n for n in range(1, 9)] + BETWEEN),
        (16, [2 ** (-n / 2) for n in range(1, 17)]),
    ],
)
def test_slopes(heads: int, slopes: list[float]) -> None:
    assert alibi_slopes(heads) == pytest.approx(slopes)


def groups_of(lengths: list[int]) -> tuple[tuple[EqualTexts, ...], Tensor]:
    """One group for each text."""
    starts = torch.tensor([0, *lengths]).cumsum(0)
    groups = [EqualTexts(int(start), 1, length) for start, length in zip(starts, lengths, strict=False)]
    merged: list[EqualTexts] = []
    for group in groups:
        if merged and merged[-1].length == group.length:
            merged[-1] = merged[-1]._replace(texts=merged[-1].texts + 1)
        else:
            merged.append(group)
    return tuple(merged), starts.int()


def packed(lengths: list[int]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(sum(lengths), 2, HEADS, SIZE), torch.randn(sum(lengths), HEADS, SIZE)


def plain(qk: Tensor, v: Tensor, lengths: list[int]) -> Tensor:
    """softmax(q k / sqrt(d) - slope |i - j|) v, one text and one head at a time."""
    texts = []
    for text_qk, text_v in zip(torch.split(qk, lengths), torch.split(v, lengths), strict=True):
        places = torch.arange(len(text_v))
        distances = (places[:, None] - places).abs()
        heads = [
            torch.softmax(text_qk[:, 0, head] @ text_qk[:, 1, head].T / math.sqrt(SIZE) - slope * distances, 1)
            @ text_v[:, head]
            for head, slope in enumerate(alibi_slopes(HEADS))
        ]
        texts.append(torch.cat(heads, dim=1))
    return torch.cat(texts)


@pytest.mark.parametrize("choice", [TILES, FUSED], ids=["tiles", "fused"])
@pytest.mark.parametrize("lengths", [[1], [5], [4, 4, 4], [2, 2, 7, 1, 1, 3], [600], [3, 600, 3]], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_distances_are_counted_within_each_text(lengths: list[int], training: bool, choice: AttentionChoice) -> None:
    qk, v = packed(lengths)
    with torch.set_grad_enabled(training):
        mixed = attend(qk, v, *groups_of(lengths), choice, Alibi(HEADS))
    assert torch.allclose(mixed, plain(qk, v, lengths), atol=1e-5)


@pytest.mark.parametrize("tile", [1, 300, 5000, 2**20])
@pytest.mark.parametrize("lengths", [[1], [70, 70, 70], [200, 3, 3], [150]], ids=str)
@pytest.mark.parametrize("choice", [TILES, FUSED], ids=["tiles", "fused"])
def test_parts_of_any_size_give_the_same(
    monkeypatch: pytest.MonkeyPatch, tile: int, lengths: list[int], choice: AttentionChoice
) -> None:
    monkeypatch.setattr(module, "TILE", tile)
    monkeypatch.setattr(module, "MIN_TILE_ROWS", 7)
    qk, v = packed(lengths)
    with torch.inference_mode():
        mixed = attend(qk, v, *groups_of(lengths), choice, Alibi(HEADS))
    assert torch.allclose(mixed, plain(qk, v, lengths), atol=1e-5)


@pytest.mark.parametrize("choice", [TILES, FUSED], ids=["tiles", "fused"])
@pytest.mark.parametrize("tile", [700, 2**20])
@pytest.mark.parametrize(("first", "rows"), [(0, 40), (40, 40), (80, 7), (0, 87)])
def test_rows_know_their_number(
    monkeypatch: pytest.MonkeyPatch, first: int, rows: int, tile: int, choice: AttentionChoice
) -> None:
    monkeypatch.setattr(module, "TILE", tile)
    monkeypatch.setattr(module, "MIN_TILE_ROWS", 7)
    qk, v = packed([87])
    key, value = qk[:, 1].transpose(0, 1), v.transpose(0, 1)
    with torch.inference_mode():
        mixed = attend_rows(qk[first : first + rows, 0], key, value, choice, Alibi(HEADS, first))
    assert torch.allclose(mixed, plain(qk, v, [87])[first : first + rows], atol=1e-5)


@pytest.mark.parametrize("choice", [TILES, FUSED], ids=["tiles", "fused"])
@pytest.mark.parametrize("lengths", [[1], [5, 5], [300, 300], [2000]], ids=str)
def test_bfloat16_rounds_scores_and_little_else(lengths: list[int], choice: AttentionChoice) -> None:
    """Lengths are filled up with keys that get no weight."""
    qk, v = (part.bfloat16() for part in packed(lengths))
    exact = plain(qk.double(), v.double(), lengths)
    with torch.inference_mode():
        mixed = attend(qk, v, *groups_of(lengths), choice, Alibi(HEADS)).double()
    assert (mixed - exact).norm() <= 0.02 * exact.norm()


@pytest.mark.parametrize(("choice", "most"), [(TILES, 2 * module.TILE), (FUSED, module.TILE)])
def test_long_texts_hold_the_distances_of_a_part_only(
    monkeypatch: pytest.MonkeyPatch, choice: AttentionChoice, most: int
) -> None:
    """A bias of all heads would be 150 million values here, and one head's 25 million."""
    held: list[int] = []
    distances = Alibi.distances

    def counted(self: Alibi, start: int, rows: int, columns: int, like: Tensor) -> Tensor:
        held.append(rows * columns)
        return distances(self, start, rows, columns, like)

    monkeypatch.setattr(Alibi, "distances", counted)
    qk, v = packed([5000])
    with torch.inference_mode():
        attend(qk.bfloat16(), v.bfloat16(), *groups_of([5000]), choice, Alibi(HEADS))
    assert held
    assert max(held) <= most


def test_gradients_are_those_of_the_plain_formula() -> None:
    lengths = [3, 3, 5, 2]
    qk, v = packed(lengths)
    weight = torch.randn(sum(lengths), HEADS * SIZE)
    gradients = []
    for ours in (True, False):
        leaves = qk.clone().requires_grad_(), v.clone().requires_grad_()
        mixed = attend(*leaves, *groups_of(lengths), TILES, Alibi(HEADS)) if ours else plain(*leaves, lengths)
        gradients.append(torch.autograd.grad((mixed * weight).sum(), leaves))
    for gradient, wanted in zip(*gradients, strict=True):
        assert torch.allclose(gradient, wanted, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("lengths", [[1], [5, 5], [70, 3, 300, 3], [4000]], ids=str)
def test_on_a_gpu(lengths: list[int]) -> None:
    qk, v = (part.to("cuda", torch.bfloat16) for part in packed(lengths))
    groups, starts = groups_of(lengths)
    with torch.inference_mode():
        mixed = attend(qk, v, groups, starts.cuda(), TILES, Alibi(HEADS)).cpu().double()
    wanted = plain(qk.cpu().double(), v.cpu().double(), lengths)
    assert (mixed - wanted).norm() <= 0.02 * wanted.norm()
