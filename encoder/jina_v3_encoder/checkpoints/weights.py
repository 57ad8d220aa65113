"""Copy tensors between safetensors files and the network: number, shapes and values are checked, memory is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError, CheckpointMismatch
from .layouts import NAMING, Naming, Slot

REOPEN_BYTES = 4 * 2**20
"""The system counts mapped pages as used memory until the file is closed. So it is reopened after this many bytes."""
LISTED = 12
FLOAT_TYPES = {"F64", "F32", "F16", "BF16"}
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file, described by the file's header."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        return ITEM_BYTES.get(self.dtype, 1) * torch.Size(self.shape).numel()


@contextmanager
def open_safetensors(path: Path) -> Any:
    """Memory-map a safetensors file. If it cannot be read, whatever the reason, raise CheckpointError."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a complete safetensors file ({error}); delete it and download it again"
        ) from error


def stored_tensors(files: Iterable[Path], naming: Naming = NAMING) -> dict[str, StoredTensor]:
    """Headers of `files` by canonical name.

    Raises:
        CheckpointError: a file is truncated or not safetensors.
        CheckpointMismatch: two tensors have the same canonical name.
    """
    tensors: dict[str, StoredTensor] = {}
    for path in files:
        with open_safetensors(path) as file:
            for name in file.keys():  # noqa: SIM118 - a safetensors handle is not iterable
                canonical = naming.canonical(name)
                if canonical is None:
                    continue
                tensor = file.get_slice(name)
                if canonical in tensors:
                    raise CheckpointMismatch(f"{path} names {canonical} twice: {tensors[canonical].name} and {name}")
                tensors[canonical] = StoredTensor(path, name, tuple(tensor.get_shape()), tensor.get_dtype())
    return tensors


def check_tensors(
    stored: Mapping[str, StoredTensor], slots: Mapping[str, Slot], parameters: Mapping[str, Tensor], source: str
) -> None:
    """Compare a file's header with what the config announces.

    Raises:
        CheckpointMismatch: tensors are missing, extra, misshapen or not floating point; names and both shapes listed.
    """
    shapes = {name: tuple(slot.view(parameters[slot.parameter]).shape) for name, slot in slots.items()}
    missing = [f"missing {name} {shapes[name]}" for name in slots if name not in stored]
    extra = [f"unexpected {tensor.name} {tensor.shape}" for name, tensor in stored.items() if name not in slots]
    common = [(name, stored[name]) for name in slots if name in stored]
    misshapen = [
        f"{tensor.name} has shape {tensor.shape}, config.json asks for {shapes[name]}"
        for name, tensor in common
        if tensor.shape != shapes[name]
    ]
    wrong_type = [
        f"{tensor.name} holds {tensor.dtype}, expected {'bytes (I8)' if int8 else 'floating point'}"
        for name, tensor in common
        if (int8 := parameters[slots[name].parameter].dtype is torch.int8) != (tensor.dtype == "I8")
        or (not int8 and tensor.dtype not in FLOAT_TYPES)
    ]
    problems = missing + extra + misshapen + wrong_type
    if problems:
        rest = [f"and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        raise CheckpointMismatch(
            f"{source} has {len(stored)} tensors where {len(slots)} are expected:\n  "
            + "\n  ".join(problems[:LISTED] + rest)
        )


def read_tensors(
    stored: Mapping[str, StoredTensor], slots: Mapping[str, Slot], parameters: Mapping[str, Tensor]
) -> None:
    """Copy every stored tensor into its parameter, converting to the parameter's dtype.

    Peak memory is the parameters plus about `REOPEN_BYTES`: large tensors first, in row blocks, file reopened between.

    Raises:
        CheckpointMismatch: NaN or infinite values, or q, k and v adapters that do not share lora_A.
    """
    by_file: dict[Path, list[str]] = {}
    for name in sorted(slots, key=lambda name: -stored[name].bytes):
        by_file.setdefault(stored[name].file, []).append(name)
    repeated = _repeated([name for names in by_file.values() for name in names], slots)
    for path, names in by_file.items():
        blocks = [block for name in names for block in _row_blocks(stored[name], name)]
        for group in _groups(blocks):
            with open_safetensors(path) as file:
                for name, rows, _ in group:
                    slot = slots[name]
                    target = slot.view(parameters[slot.parameter])[rows]
                    values = file.get_slice(stored[name].name)[rows]
                    if name in repeated:
                        _compare(target, values, stored[name].name)
                    else:
                        _fill(target, values, stored[name].name)


def _repeated(names: Sequence[str], slots: Mapping[str, Slot]) -> frozenset[str]:
    """Tensors whose parameter an earlier tensor has already filled, in the order of reading."""
    filling: dict[tuple[str, int | None], str] = {}
    for name in names:
        if slots[name].copies:
            filling.setdefault((slots[name].parameter, slots[name].bank), name)
    return frozenset(name for name in names if slots[name].copies) - frozenset(filling.values())


_Block = tuple[str, slice, int]


def _row_blocks(tensor: StoredTensor, name: str) -> list[_Block]:
    rows = tensor.shape[0]
    step = max(1, rows * REOPEN_BYTES // max(tensor.bytes, 1))
    size = tensor.bytes // max(rows, 1)
    return [
        (name, slice(start, min(start + step, rows)), size * (min(start + step, rows) - start))
        for start in range(0, rows, step)
    ]


def _groups(blocks: Sequence[_Block]) -> list[list[_Block]]:
    groups: list[list[_Block]] = [[]]
    size = 0
    for block in blocks:
        if size + block[2] > REOPEN_BYTES and groups[-1]:
            groups.append([])
            size = 0
        groups[-1].append(block)
        size += block[2]
    return groups


def _compare(target: Tensor, values: Tensor, name: str) -> None:
    if not torch.equal(target, values.to(target.dtype)):
        raise CheckpointMismatch(
            f"{name} differs from the other lora_A of its layer: query, key and value adapters that were trained "
            "apart do not fit the fused attention of jina-embeddings-v3"
        )


def _fill(target: Tensor, values: Tensor, name: str) -> None:
    with torch.no_grad():
        target.copy_(values)
        low, high = torch.aminmax(target)
    if not torch.isfinite(low + high):
        raise CheckpointMismatch(f"{name} holds NaN or infinite values; the file is damaged or its training diverged")
