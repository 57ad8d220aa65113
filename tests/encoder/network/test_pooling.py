from __future__ import annotations

import numpy as np
import pytest
import torch

from jina_v3_encoder.network.pooling import sum_states


def test_all_rows_by_owner() -> None:
    states = torch.arange(8.0).view(4, 2)
    total = sum_states(states, None, np.array([1, 0, 1, 1]), 2)
    assert total.tolist() == [[2.0, 3.0], [10.0, 13.0]]


def test_a_token_may_serve_several_vectors_or_none() -> None:
    states = torch.tensor([[1.0], [10.0], [100.0]])
    total = sum_states(states, np.array([0, 1, 1]), np.array([0, 0, 2]), 3)
    assert total.tolist() == [[11.0], [0.0], [10.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_are_float32(dtype: torch.dtype) -> None:
    """In bfloat16 a sum of ones stops at 256."""
    total = sum_states(torch.ones(5000, 1, dtype=dtype), None, np.zeros(5000, dtype=np.int64), 1)
    assert total.dtype == torch.float32
    assert total.item() == 5000.0


def test_gradients_flow() -> None:
    states = torch.ones(3, 2, requires_grad=True)
    loss = sum_states(states, np.array([0, 0, 2]), np.array([0, 1, 1]), 2).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert states.grad is not None
    assert states.grad[:, 0].tolist() == [2.0, 0.0, 1.0]
