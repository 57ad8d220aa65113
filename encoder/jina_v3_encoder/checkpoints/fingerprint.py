"""One short name for everything that decides a vector: weights, architecture, prompts, rotary base and tokenizer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from ..network.packed import PackedNetwork

DIGITS = 16
ROWS = 65536


def fingerprint(model: PackedNetwork, tokenizer_file: Path) -> str:
    """16 hexadecimal digits of SHA-256.

    Weights are hashed as bfloat16, so a checkpoint has one fingerprint in both layouts and in every compute dtype.
    Weights rounded to int8 have another one. The unused pooler is left out. This reads all weights, which takes about a
    second for the published model.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(model.config.deciding()).encode())
    digest.update(tokenizer_file.read_bytes())
    for name in model.tensor_names():
        if not name.startswith("pooler."):
            tensor = model.tensor(name)
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            table = tensor.reshape(-1, tensor.shape[-1])
            for start in range(0, len(table), ROWS):
                rows = table[start : start + ROWS].to("cpu", torch.bfloat16).contiguous()
                digest.update(rows.view(torch.int16).numpy().data)
    return digest.hexdigest()[:DIGITS]
