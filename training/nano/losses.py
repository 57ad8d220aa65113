"""Losses, each averaged over the Matryoshka slices (Kusupati et al. 2022). Shapes: B texts or pairs, C dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

MATRYOSHKA = (32, 64, 128, 256, 384)
SLICES = (32, 64, *MATRYOSHKA)
"""Of the contrast: the smallest slices, which lose most, count twice."""
FAR_BELOW = -1e4
TEMPERATURE = 0.05
CLASS_TEMPERATURE = 0.1


def contrast(queries: Tensor, passages: Tensor, same: Tensor) -> Tensor:
    """InfoNCE over in-batch negatives, both directions for the first B passages.

    Shapes: queries (B, C); passages (P, C), P >= B, the first B belonging to the queries in order; same (B, P) bool,
    True where an off-diagonal pair must not count as a negative.
    """
    labels = torch.arange(len(queries), device=queries.device)
    losses = []
    for size in SLICES:
        scores = F.normalize(queries[:, :size], dim=1) @ F.normalize(passages[:, :size], dim=1).T / TEMPERATURE
        scores = scores.masked_fill(same, -math.inf)
        losses += [F.cross_entropy(scores, labels), F.cross_entropy(scores[:, : len(labels)].T, labels)]
    return torch.stack(losses).mean()


def imitate(students: Tensor, targets: Tensor) -> Tensor:
    """Distillation: 1 − cosine, plus 0.3 KL of the similarities in the batch to the teacher's.

    Shapes: students and unit-length rotated targets (B, C).
    """
    wanted = F.log_softmax(targets @ targets.T / TEMPERATURE, dim=1)
    losses = []
    for size in MATRYOSHKA:
        student = F.normalize(students[:, :size], dim=1)
        target = F.normalize(targets[:, :size], dim=1)
        distance = 1 - (student * target).sum(1).mean()
        similarities = F.log_softmax(student @ target.T / TEMPERATURE, dim=1)
        losses.append(distance + 0.3 * F.kl_div(similarities, wanted, log_target=True, reduction="batchmean"))
    return torch.stack(losses).mean()


def same_neighbours(students: Tensor, targets: Tensor) -> Tensor:
    """Relational distillation: each text's similarities to the others in the batch, as the teacher has them.

    Similarity is what texts of one adapter are compared by; the KL of nearest neighbours plus ten times the squared
    difference of cosines. Shapes: students and unit-length rotated targets (B, C).
    """
    itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    cosines = targets @ targets.T
    wanted = F.log_softmax((cosines / TEMPERATURE).masked_fill(itself, FAR_BELOW), dim=1)
    losses = []
    for size in MATRYOSHKA:
        unit = F.normalize(students[:, :size], dim=1)
        student_cosines = unit @ unit.T
        nearest = F.log_softmax((student_cosines / TEMPERATURE).masked_fill(itself, FAR_BELOW), dim=1)
        kept = F.kl_div(nearest, wanted, log_target=True, reduction="batchmean")
        losses.append(kept + 10 * (student_cosines - cosines)[~itself].square().mean())
    return torch.stack(losses).mean()


def same_ranking(queries: Tensor, passages: Tensor, query_targets: Tensor, passage_targets: Tensor) -> Tensor:
    """KL of each query's distribution over the passages to the teacher's. Shapes: (B, C), (P, C), (B, C), (P, C)."""
    wanted = F.log_softmax(query_targets @ passage_targets.T / TEMPERATURE, dim=1)
    losses = []
    for size in MATRYOSHKA:
        scores = F.normalize(queries[:, :size], dim=1) @ F.normalize(passages[:, :size], dim=1).T
        student_ranking = F.log_softmax(scores / TEMPERATURE, dim=1)
        losses.append(F.kl_div(student_ranking, wanted, log_target=True, reduction="batchmean"))
    return torch.stack(losses).mean()


def same_label(vectors: Tensor, labels: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020). Shapes: (B, C), (B,)."""
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = (labels[:, None] == labels[None]) & ~itself
    losses = []
    for size in MATRYOSHKA:
        unit = F.normalize(vectors[:, :size], dim=1)
        scores = (unit @ unit.T / CLASS_TEMPERATURE).masked_fill(itself, -math.inf)
        log_share = F.log_softmax(scores, dim=1).masked_fill(~same, 0.0)
        losses.append(-(log_share.sum(1) / same.sum(1).clamp(min=1)).mean())
    return torch.stack(losses).mean()


def repeated(queries: Sequence[str], passages: Sequence[str]) -> Tensor:
    """(B, P) bool: places off the diagonal whose passage is of the same group as the query's own."""
    numbers: dict[str, int] = {}
    left = torch.tensor([numbers.setdefault(group, len(numbers)) for group in queries])
    right = torch.tensor([numbers.setdefault(group, len(numbers)) for group in passages])
    same_group = left[:, None] == right[None]
    return same_group & ~torch.eye(len(queries), len(passages), dtype=torch.bool)
