"""Which device and number format to compute in."""

from __future__ import annotations

import torch

from ..architecture import AnyConfig
from ..errors import InvalidInput

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CPU_ACTIVATION_BYTES = 16 * 2**20
"""Half of the largest size that the allocator can reuse without new pages from the system."""
CUDA_BATCH_TOKENS = 32768
MPS = (
    "device 'mps' is not offered: this network was never run on it, and others report that it aborts and keeps memory "
    "for each new length of text; use device='cpu'"
)


def resolve_device(device: str | torch.device) -> torch.device:
    """`auto` is CUDA where there is a GPU, else the CPU.

    Raises:
        InvalidInput: the device is unknown, not on this machine, or one that the network was never run on.
    """
    if str(device).partition(":")[0] == "mps":
        raise InvalidInput(MPS)
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        first_line = str(error).splitlines()[0]
        raise InvalidInput(f"device {device!r} cannot be used here ({first_line}); try device='auto'") from error
    return resolved


def resolve_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 on CUDA and on CPUs with AVX512-BF16 or AMX, else float32.

    Raises:
        InvalidInput: the dtype is none of auto, float32, bfloat16, float16.
    """
    if dtype == "auto":
        fast = device.type == "cuda" or (device.type == "cpu" and has_fast_bfloat16())
        return torch.bfloat16 if fast else torch.float32
    resolved = DTYPES.get(str(dtype).removeprefix("torch."))
    if resolved is None:
        raise InvalidInput(f"unknown dtype {dtype!r}: use auto, {', '.join(DTYPES)}")
    return resolved


def has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)


def default_batch_tokens(config: AnyConfig, device: torch.device, dtype: torch.dtype) -> int:
    """Tokens per packed batch. On CPUs the widest activation should fit the caches. GPUs need large batches."""
    if device.type != "cpu":
        return CUDA_BATCH_TOKENS
    return max(1024, min(16384, CPU_ACTIVATION_BYTES // (dtype.itemsize * config.intermediate_size)))
