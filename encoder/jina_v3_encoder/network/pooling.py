"""Sums of token states per vector, in float32 whatever the states' dtype."""

from __future__ import annotations

import torch
from torch import Tensor

from ..texts.tokenizer import IntArray


def sum_states(states: Tensor, rows: IntArray | None, owners: IntArray, vectors: int) -> Tensor:
    """Add up the states of the tokens of each vector.

    Shapes: states (N, C), rows (K,) of tokens to use or None for all in order, owners (K,) the vector each belongs to
    -> float32 (vectors, C). A token may be used by several vectors.
    """
    chosen = states if rows is None else states[torch.from_numpy(rows).to(states.device)]
    total = torch.zeros(vectors, states.shape[1], dtype=torch.float32, device=states.device)
    return total.index_add_(0, torch.from_numpy(owners).to(states.device), chosen.float())
