"""ALiBi (Press et al. 2022), symmetric: a score falls by the head's slope for each token between query and key.

There are no positions in the states then. The bias of a whole text, heads × tokens², would take gigabytes. It is made
for one tile of the scores at a time, from a table of distances that all heads share. Shapes: H heads.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


def alibi_slopes(heads: int) -> tuple[float, ...]:
    """The slope of each head: 2^(-8/H), and powers of it, where H is a power of two.

    Otherwise those of the next lower power of two, then every second slope of its double.
    """
    power = 1 << (heads.bit_length() - 1)
    between = _powers(2 * power)[::2]
    return (*_powers(power), *between[: heads - power])


def _powers(heads: int) -> tuple[float, ...]:
    return tuple(2.0 ** (-8 * number / heads) for number in range(1, heads + 1))


class Alibi(NamedTuple):
    """What attention has to know: the number of heads, and which token of its text the first query is."""

    heads: int
    first: int = 0

    def falls(self, like: Tensor) -> Tensor:
        """Minus the slope of each head (H, 1, 1), in the number format and on the device of a tensor."""
        return _falls(self.heads, like.dtype, like.device)

    def distances(self, start: int, rows: int, columns: int, like: Tensor) -> Tensor:
        """Tokens between queries `start` and following and the keys from 0 on: (rows, columns)."""
        begin = self.first + start
        queries = torch.arange(begin, begin + rows, dtype=torch.float32, device=like.device)
        keys = torch.arange(columns, dtype=torch.float32, device=like.device)
        return (queries[:, None] - keys).abs_().to(like.dtype)


@cache
def _falls(heads: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # training shares it
        return -torch.tensor(alibi_slopes(heads), device=device).to(dtype)[:, None, None]
