"""Independent references: transformers' own network on merged weights, and late chunking spelled out plainly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

from jina_v3_encoder.architecture import AnyConfig
from jina_v3_encoder.config import PROMPTS, ModelConfig

MODULES = (
    ("embeddings.word_embeddings", "embeddings.word_embeddings"),
    ("embeddings.token_type_embeddings", "embeddings.token_type_embeddings"),
    ("mixer.out_proj", "self_attn.o_proj"),
    ("encoder.layers", "layers"),
    ("emb_ln", "embeddings.LayerNorm"),
    ("norm1", "post_attention_layernorm"),
    ("norm2", "post_mlp_layernorm"),
)
FloatArray = NDArray[np.float32]


class ReadsStates(Protocol):
    """Any reference that late chunking can be spelled out with."""

    tokenizer: Tokenizer

    def states(self, ids: Sequence[int], task: str | None) -> Tensor:
        """Token states (n, C) of one sequence."""


class Reference:
    """One checkpoint of the original layout, one text at a time, float32, weights merged per task."""

    def __init__(self, folder: Path, config: AnyConfig) -> None:
        assert isinstance(config, ModelConfig)
        self.tensors = {key: value.float() for key, value in load_file(folder / "model.safetensors").items()}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.config = config
        self._models: dict[str | None, Any] = {}

    def ids(self, text: str, task: str | None, *, prompt: bool = True) -> list[int]:
        prefix = PROMPTS.get(task or "", "") if prompt else ""
        return list(self.tokenizer.encode(prefix + text).ids)

    def states(self, ids: Sequence[int], task: str | None) -> Tensor:
        """Token states (n, C) of one sequence."""
        with torch.no_grad():
            states: Tensor = self._model(task)(torch.tensor([list(ids)])).last_hidden_state[0]
        return states

    def encode(self, text: str, task: str | None, dimensions: int | None = None, *, prompt: bool = True) -> FloatArray:
        return unit(self.states(self.ids(text, task, prompt=prompt), task).mean(0), dimensions)

    def _model(self, task: str | None) -> Any:
        if task not in self._models:
            self._models[task] = self._build(task)
        return self._models[task]

    def _build(self, task: str | None) -> Any:
        config = self.config
        model = JinaEmbeddingsV3Model(
            JinaEmbeddingsV3Config(
                vocab_size=config.vocab_size,
                hidden_size=config.hidden_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                intermediate_size=config.intermediate_size,
                max_position_embeddings=config.max_position_embeddings,
                rope_parameters={"rope_type": "default", "rope_theta": config.rotary_emb_base},
            )
        )
        result = model.load_state_dict(self._merged(task), strict=False)
        assert not result.missing_keys, result.missing_keys
        assert not result.unexpected_keys, result.unexpected_keys
        model.requires_grad_(False)
        model.train(mode=False)
        return model

    def _merged(self, task: str | None) -> dict[str, Tensor]:
        merged: dict[str, Tensor] = {}
        for key, value in self.tensors.items():
            if ".0.lora_" in key:
                continue
            name = key.removeprefix("roberta.").replace(".parametrizations.weight.original", ".weight")
            weight = value + self._delta(key, task) if key.endswith("original") else value
            for theirs, ours in MODULES:
                name = name.replace(theirs, ours)
            if "mixer.Wqkv" in name:
                for part, rows in zip(("q_proj", "k_proj", "v_proj"), weight.chunk(3), strict=True):
                    merged[name.replace("mixer.Wqkv", f"self_attn.{part}")] = rows
            else:
                merged[name] = weight
        return merged

    def _delta(self, key: str, task: str | None) -> Tensor:
        if task is None:
            return torch.zeros(())
        bank = self.config.lora_adaptations.index(task)
        first = self.tensors[key.replace("original", "0.lora_A")][bank]
        second = self.tensors[key.replace("original", "0.lora_B")][bank]
        product = first @ second if "embeddings" in key else second @ first
        return product * (self.config.lora_alpha / self.config.lora_rank)


def unit(vector: Tensor, dimensions: int | None = None) -> FloatArray:
    cut = vector[:dimensions].double().numpy()
    return np.asarray(cut / np.linalg.norm(cut), dtype=np.float32)


def late_states(reference: ReadsStates, ids: Sequence[int], task: str | None, window: int, overlap: int) -> Tensor:
    """Token states of a document of any length: windows of `window`, each after the first drops `overlap` outputs."""
    parts, start = [], 0
    while True:
        states = reference.states(ids[start : start + window], task)
        parts.append(states if start == 0 else states[overlap:])
        if start + window >= len(ids):
            return torch.cat(parts)
        start += window - overlap


def late_chunks(
    reference: ReadsStates,
    text: str,
    spans: Sequence[tuple[int, int]],
    task: str | None,
    *,
    window: int,
    overlap: int,
    prompt: bool = True,
) -> FloatArray:
    """Late chunking token by token: a token goes to every span that holds its last character."""
    prefix = PROMPTS.get(task or "", "") if prompt else ""
    encoding = reference.tokenizer.encode(prefix + text)
    states = late_states(reference, encoding.ids, task, window, overlap)
    assert len(states) == len(encoding.ids)
    members: list[list[int]] = [[] for _ in spans]
    for token, (start, end) in enumerate(encoding.offsets):
        if token == 0 or (token < len(encoding.ids) - 1 and max(end - 1, start) < len(prefix)):
            members[0].append(token)
        elif token == len(encoding.ids) - 1:
            members[-1].append(token)
        else:
            last = max(end - 1, start) - len(prefix)
            for span, (first, stop) in enumerate(spans):
                if first <= last < stop:
                    members[span].append(token)
    return np.stack([unit(states[torch.tensor(tokens)].mean(0)) for tokens in members])
