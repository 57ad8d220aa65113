"""The training losses say what they should about right and wrong vectors."""

from __future__ import annotations

import pytest
import torch

from training.nano.losses import MATRYOSHKA, contrast, imitate, repeated, same_label, same_neighbours, same_ranking


def test_losses_fall_with_agreement() -> None:
    torch.manual_seed(0)
    right, noise = torch.randn(8, 384), torch.randn(8, 384)
    unit = torch.nn.functional.normalize(right, dim=1)
    nothing = torch.zeros(8, 8, dtype=torch.bool)
    assert imitate(right, unit) < imitate(right + noise, unit) < imitate(noise, unit)
    assert contrast(right, right, nothing) < contrast(right, right + noise, nothing)
    assert contrast(right, right, nothing) < contrast(right, noise, nothing)
    labels = torch.arange(8) // 2
    paired = right[labels] + 0.1 * noise
    assert same_label(paired, labels) < same_label(noise, labels)


def test_passages_of_one_group_are_not_negatives() -> None:
    assert repeated(["a", "b", "a"], ["a", "b", "a", "b"]).nonzero().tolist() == [[0, 2], [1, 3], [2, 0]]


def test_masked_passages_do_not_count() -> None:
    torch.manual_seed(0)
    queries = torch.randn(2, 384)
    passages = torch.cat((queries, queries[:1]))
    masked = torch.zeros(2, 3, dtype=torch.bool)
    full = contrast(queries, passages, masked)
    masked[0, 2] = True
    assert contrast(queries, passages, masked) < full - 0.1
    alone = float(contrast(queries, queries, masked[:, :2]))
    assert contrast(queries, passages, masked) == pytest.approx(alone, abs=0.1)


def test_a_ranking_like_the_teachers_costs_nothing() -> None:
    torch.manual_seed(0)
    queries, passages = (torch.nn.functional.normalize(torch.randn(6, 384), dim=1) for _ in range(2))
    whole = same_ranking(queries[:, :384], passages, queries, passages)
    other = same_ranking(passages, queries, queries, passages)
    assert 0 <= whole < other


def test_every_slice_counts() -> None:
    """Agreement in the first 32 components alone lowers the loss: smaller vectors are trained too."""
    torch.manual_seed(0)
    target = torch.nn.functional.normalize(torch.randn(8, 384), dim=1)
    noise = torch.randn(8, 384)
    first = noise.clone()
    first[:, :32] = target[:, :32]
    assert imitate(first, target) < imitate(noise, target)
    assert MATRYOSHKA == (32, 64, 128, 256, 384)


def test_texts_without_a_partner_do_not_break_the_class_loss() -> None:
    assert torch.isfinite(same_label(torch.randn(3, 384), torch.tensor([0, 0, 1])))


def test_neighbours_are_kept_whichever_way_the_vectors_are_turned() -> None:
    torch.manual_seed(0)
    targets = torch.nn.functional.normalize(torch.randn(12, 384), dim=1)
    noise = torch.randn(12, 384)
    near, far = same_neighbours(targets + 0.02 * noise, targets), same_neighbours(noise, targets)
    assert same_neighbours(targets, targets) < near < far
    assert same_neighbours(-targets, targets) == pytest.approx(float(same_neighbours(targets, targets)), rel=1e-5)
    learning = noise.clone().requires_grad_()
    same_neighbours(learning, targets).backward()  # type: ignore[no-untyped-call]
    assert learning.grad is not None
    assert torch.isfinite(learning.grad).all()
