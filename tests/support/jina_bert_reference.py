"""JinaBERT spelled out on the tensors of the file: one text at a time, one head at a time, in float32.

Nothing of the product is used. The formulas are those of the published code of both variants:
jinaai/jina-bert-implementation and jinaai/jina-bert-v2-qk-post-norm.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from .reference import FloatArray, unit

EPS = 1e-12


class JinaBertReference:
    """One checkpoint folder."""

    def __init__(self, folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text())
        self.heads, self.layers = values["num_attention_heads"], values["num_hidden_layers"]
        self.tensors = {
            name.removeprefix("bert."): tensor.float()
            for name, tensor in load_file(folder / "model.safetensors").items()
        }
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.slopes = slopes(self.heads)

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)

    def encode(self, text: str) -> FloatArray:
        return self.vector(self.ids(text))

    def vector(self, ids: Sequence[int]) -> FloatArray:
        return unit(self.states(ids, None).mean(0))

    def states(self, ids: Sequence[int], task: str | None) -> Tensor:
        """Token states (n, C) of one sequence."""
        assert task is None
        x = self._get("embeddings.word_embeddings.weight")[torch.tensor(list(ids))]
        x = self._norm("embeddings.LayerNorm", x + self._get("embeddings.token_type_embeddings.weight")[0])
        for layer in range(self.layers):
            x = self._layer(f"encoder.layer.{layer}.", x)
        return x

    def _layer(self, name: str, x: Tensor) -> Tensor:
        attended = self._attention(name + "attention.", x)
        if name + "mlp.up_gated_layer.weight" in self.tensors:
            between = self._norm(name + "layer_norm_1", attended + x)
            up, gate = self._halves(name + "mlp.up_gated_layer", between)
            down = self._linear(name + "mlp.down_layer", up * F.gelu(gate))
            return self._norm(name + "layer_norm_2", down + between)
        gate, up = self._halves(name + "mlp.gated_layers", attended)
        down = self._linear(name + "mlp.wo", F.gelu(gate) * up)
        return self._norm(name + "mlp.layernorm", down + attended)

    def _attention(self, name: str, x: Tensor) -> Tensor:
        """Attention, its projection, and the norm over it and the layer's input."""
        query, key, value = (self._linear(f"{name}self.{part}", x) for part in ("query", "key", "value"))
        if name + "self.layer_norm_q.weight" in self.tensors:
            query, key = self._norm(name + "self.layer_norm_q", query), self._norm(name + "self.layer_norm_k", key)
        size = x.shape[1] // self.heads
        places = torch.arange(len(x))
        distances = (places[:, None] - places).abs()
        mixed = []
        for head, slope in enumerate(self.slopes):
            part = slice(head * size, (head + 1) * size)
            scores = query[:, part] @ key[:, part].T / math.sqrt(size) - slope * distances
            mixed.append(torch.softmax(scores, dim=1) @ value[:, part])
        return self._norm(name + "output.LayerNorm", self._linear(name + "output.dense", torch.cat(mixed, dim=1)) + x)

    def _halves(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        both = x @ self._get(f"{name}.weight").T
        wide = both.shape[1] // 2
        return both[:, :wide], both[:, wide:]

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self._get(f"{name}.weight").T + self._get(f"{name}.bias")

    def _norm(self, name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        spread = torch.sqrt(centred.square().mean(1, keepdim=True) + EPS)
        return centred / spread * self._get(f"{name}.weight") + self._get(f"{name}.bias")

    def _get(self, name: str) -> Tensor:
        return self.tensors[name]


def slopes(heads: int) -> list[float]:
    """As the published code makes them, by calling itself for the next higher power of two."""
    if math.log2(heads).is_integer():
        first = 2.0 ** -(2.0 ** -(math.log2(heads) - 3))
        return [first ** (head + 1) for head in range(heads)]
    lower = 2 ** math.floor(math.log2(heads))
    return slopes(lower) + slopes(2 * lower)[0::2][: heads - lower]
