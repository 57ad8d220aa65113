"""One short name for everything that decides a vector: weights, prompts, rotary base and tokenizer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from ..network.jina_v3 import JinaV3Model

DIGITS = 16
ROWS = 65536


def fingerprint(model: JinaV3Model, tokenizer_file: Path) -> str:
    """16 hexadecimal digits of SHA-256.

    Weights are hashed as bfloat16, so a checkpoint has one fingerprint in both layouts and in every compute dtype.
    Weights rounded to int8 have another one. The unused pooler is left out. This reads all weights, which takes about a
    second for the published model.
    """
    digest = hashlib.sha256()
    config = model.config
    settings = [config.rotary_emb_base, config.layer_norm_eps, config.lora_alpha, config.num_attention_heads]
    prompts = {task: config.task_instructions.get(task, "") for task in sorted(config.lora_adaptations)}
    digest.update(json.dumps([settings, list(config.lora_adaptations), prompts]).encode())
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
