"""int8 linear layers on the CPU: weights with a scale per output channel, activations with a scale per token.

A token's scale comes from that token alone, so a vector does not depend on what else was in the batch. Embeddings,
norms, attention and the low-rank adapters stay in the compute dtype. The weights take half of bfloat16's memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ..errors import InvalidInput

LEVELS = 127
ZERO = 128
"""Activations are unsigned bytes around 128. With signed ones, torch takes a path that is thousands of times slower."""
BLOCK = 2**19
"""Activations that are rounded at a time, as float32: 2 MiB stay in the caches."""
COMPUTE_DTYPES = (torch.bfloat16, torch.float32)
VECTOR_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8")


def quantize_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) -> int8 of the same shape and float32 scales (out,), rounded to nearest."""
    exact = weight.detach().float()
    scales = exact.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / LEVELS
    return torch.round(exact / scales[:, None]).to(torch.int8), scales


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, in) -> unsigned bytes of the same shape, 128 for zero, and scales (N, 1) in the dtype of x."""
    rounded, scales = torch.empty_like(x, dtype=torch.int8), x.new_empty(len(x), 1)
    step = max(1, BLOCK // x.shape[1])
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        largest = _largest(x[rows]).clamp_min_(torch.finfo(torch.float32).tiny)
        rounded[rows] = x[rows].to(torch.float32, copy=True).mul_(LEVELS / largest).round_()
        scales[rows] = largest / LEVELS
    return rounded.view(torch.uint8).bitwise_xor_(ZERO), scales


def _largest(x: Tensor) -> Tensor:
    """The largest absolute value of each row: (N, in) -> float32 (N, 1).

    Without their sign, floating-point numbers are in the order of their bits. Whole numbers take half the time.
    """
    bits, without_sign = (torch.int16, 0x7FFF) if x.element_size() == 2 else (torch.int32, 0x7FFFFFFF)
    return (x.view(bits) & without_sign).amax(dim=1, keepdim=True).view(x.dtype).float()


@dataclass(frozen=True)
class Int8Product:
    """A weight as bytes in oneDNN's blocked layout."""

    packed: Tensor
    scales: Tensor
    zeros: Tensor

    @classmethod
    def of(cls, values: Tensor, scales: Tensor) -> Int8Product:
        """Shapes: values (out, in) int8, scales (out,) float32."""
        packed = torch.ops.onednn.qlinear_prepack(values.detach(), None)
        return cls(packed, scales.detach(), torch.zeros(len(scales), dtype=torch.int32))

    def __call__(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """(N, in) -> (N, out)."""
        rows, scale = quantize_rows(x)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            rows, 1.0, ZERO, self.packed, self.scales, self.zeros, None, 1.0, 0, x.dtype, "none", [], ""
        )
        return product.mul_(scale) if bias is None else torch.addcmul(bias, product, scale)

    def plain(self) -> Tensor:
        """The bytes (out, in)."""
        return self.packed.to_dense().T.contiguous()


def check_int8(device: torch.device, dtype: torch.dtype) -> None:
    """Check that this machine can multiply bytes.

    Raises:
        InvalidInput: not on a CPU, the processor has no instruction for it, or torch has not the operators.
    """
    if device.type != "cpu":
        raise InvalidInput(f"quantize='int8' works on CPUs, not on {device}; there bfloat16 is the fast format")
    if dtype not in COMPUTE_DTYPES:
        raise InvalidInput(f"quantize='int8' computes the rest in bfloat16 or float32, not in {dtype}")
    if not any(torch.cpu.get_capabilities().get(name) for name in VECTOR_INSTRUCTIONS):
        raise InvalidInput(
            f"quantize='int8' needs a processor with one of {', '.join(VECTOR_INSTRUCTIONS)}; leave quantize out"
        )
    if not has_int8_product():
        raise InvalidInput(f"torch {torch.__version__} has no int8 product that works here; leave quantize out")


@cache
def has_int8_product() -> bool:
    """Whether the operators are there, compute what is expected, and give the weight back."""
    x, weight = torch.linspace(-1, 1, 96).view(3, 32), torch.linspace(-2, 1, 256).view(8, 32)
    values, scales = quantize_weight(weight)
    try:
        with torch.no_grad():
            product = Int8Product.of(values, scales)
            wanted = x @ weight.T + 1
            same = torch.allclose(product(x, torch.ones(8)), wanted, atol=0.02 * float(wanted.abs().max()))
            return same and torch.equal(product.plain(), values)
    except (AttributeError, RuntimeError):
        return False
