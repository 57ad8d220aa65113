"""The network: XLM-RoBERTa with rotary positions and five LoRA adapters, over packed texts.

Follows jinaai/xlm-roberta-flash-implementation: post-LN blocks, fused QKV, exact GELU, adapters on every linear and
both embeddings (paper: Sturua et al. 2024, section 3). Usable for inference and training alike.
Shapes: N tokens in a batch, C hidden size, T tasks, r rank.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import ModelConfig
from .attention import AttentionChoice, attend, attend_rows, rotary_table, rotate
from .kernels import Kernels
from .layers import WeightedLayer, gelu
from .linear import ExtendedProduct, Runs, WeightForm, can_extend
from .packed import PackedBatch, PackedNetwork


class AdaptedLinear(WeightedLayer):
    """A linear layer with T low-rank adapters: weight (out, in), lora_A (T, r, in), lora_B (T, out, r)."""

    bias: nn.Parameter

    def __init__(self, inputs: int, outputs: int, config: ModelConfig, *, int8: bool = False) -> None:
        super().__init__(inputs, outputs, int8=int8)
        tasks, rank = len(config.lora_adaptations), config.lora_rank
        self.scaling = config.lora_scaling
        self.lora_A = nn.Parameter(torch.empty(tasks, rank, inputs))
        self.lora_B = nn.Parameter(torch.empty(tasks, outputs, rank))

    def forward(self, x: Tensor, runs: Runs, *, activate: bool = False) -> Tensor:
        """(N, in) -> (N, out), with exact GELU after it if asked."""
        if isinstance(self.product, ExtendedProduct):
            return self.product(self.product.extend(x, runs, self.lora_A), self.bias, gelu=activate)
        y = self.multiply(x)
        for bank, rows in runs:
            y[rows].addmm_(x[rows] @ self.lora_A[bank].T, self.lora_B[bank].T, alpha=self.scaling)
        return gelu(y) if activate else y

    def packed_form(self, kernels: Kernels) -> WeightForm:
        """The weight in oneDNN's blocks, extended by the adapters where that is faster."""
        if kernels.product == "extended" and can_extend(self.weight):
            return ExtendedProduct.of(self.weight, self.lora_B, self.scaling)
        return super().packed_form(kernels)

    def merged_weight(self, bank: int | None) -> Tensor:
        """(out, in) in float32: the weight with one adapter added, or as it is. Not for bytes."""
        weight = self.plain_weight().detach().float()
        return (
            weight if bank is None else weight + self.scaling * (self.lora_B[bank].float() @ self.lora_A[bank].float())
        )


class AdaptedEmbedding(nn.Module):
    """A lookup table with T low-rank adapters: weight (num, C), lora_A (T, num, r), lora_B (T, r, C).

    The low-rank part is computed for the given tokens only, never for the whole table.
    """

    def __init__(self, entries: int, config: ModelConfig) -> None:
        super().__init__()
        tasks, rank = len(config.lora_adaptations), config.lora_rank
        self.scaling = config.lora_scaling
        self.weight = nn.Parameter(torch.empty(entries, config.hidden_size))
        self.lora_A = nn.Parameter(torch.empty(tasks, entries, rank))
        self.lora_B = nn.Parameter(torch.empty(tasks, rank, config.hidden_size))

    def forward(self, ids: Tensor, runs: Runs) -> Tensor:
        """(N,) -> (N, C)."""
        y = F.embedding(ids, self.weight)
        for bank, rows in runs:
            y[rows].addmm_(F.embedding(ids[rows], self.lora_A[bank]), self.lora_B[bank], alpha=self.scaling)
        return y

    def merged_weight(self, bank: int | None) -> Tensor:
        """(num, C) in float32: the table with one adapter added, or as it is."""
        weight = self.weight.detach().float()
        return (
            weight if bank is None else weight + self.scaling * (self.lora_A[bank].float() @ self.lora_B[bank].float())
        )


class Block(nn.Module):
    """Attention and MLP, each followed by its residual and then LayerNorm (post-LN)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, eps = config.hidden_size, config.layer_norm_eps
        self.heads = config.num_attention_heads
        int8 = config.quantization == "int8"
        self.qkv = AdaptedLinear(size, 3 * size, config, int8=int8)
        self.out_proj = AdaptedLinear(size, size, config, int8=int8)
        self.norm1 = nn.LayerNorm(size, eps=eps)
        self.fc1 = AdaptedLinear(size, config.intermediate_size, config, int8=int8)
        self.fc2 = AdaptedLinear(config.intermediate_size, size, config, int8=int8)
        self.norm2 = nn.LayerNorm(size, eps=eps)

    def project(self, x: Tensor, places: Tensor, runs: Runs) -> tuple[Tensor, Tensor]:
        """Rotated queries and keys (N, 2, H, D), and values (N, H, D)."""
        qkv = self.qkv(x, runs).view(len(x), 3, self.heads, -1)
        return rotate(qkv[:, :2], *places.unbind(1)), qkv[:, 2]

    def attend(self, qk: Tensor, v: Tensor, batch: PackedBatch, choice: AttentionChoice) -> Tensor:
        """Attention within each text: (N, C)."""
        return attend(qk, v, batch.groups, batch.starts, choice)

    def attend_rows(self, query: Tensor, key: Tensor, value: Tensor, _: int, choice: AttentionChoice) -> Tensor:
        """Attention of some rows of one text. Their numbers are in the angles already."""
        return attend_rows(query, key, value, choice)

    def finish(self, x: Tensor, mixed: Tensor, runs: Runs) -> Tensor:
        """What follows attention, row by row. Shapes: both (N, C) -> (N, C)."""
        x = self.norm1(self.out_proj(mixed, runs).add_(x))
        return self.norm2(self.fc2(self.fc1(x, runs, activate=True), runs).add_(x))  # type: ignore[no-any-return]


class JinaV3Model(PackedNetwork):
    """The network of jina-embeddings-v3."""

    config: ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.word_embeddings = AdaptedEmbedding(config.vocab_size, config)
        self.token_type_embeddings = AdaptedEmbedding(config.type_vocab_size, config)
        self.embedding_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.pooler = AdaptedLinear(config.hidden_size, config.hidden_size, config)
        self._rotary: Tensor | None = None

    def embed(self, ids: Tensor, runs: Runs) -> Tensor:
        """The first layer's input (N, C)."""
        x = self.word_embeddings(ids, runs)
        x = x + self.token_type_embeddings(torch.zeros_like(ids), runs)
        return self.embedding_norm(x)  # type: ignore[no-any-return]

    def places(self, positions: Tensor) -> Tensor:
        """Cosines and sines (N, 2, 1, 1, D/2) of positions (N,)."""
        return self._rotary_table()[positions, :, None, None]

    def merged_tensor(self, name: str, bank: int | None) -> Tensor:
        """A weight by name in float32, with one adapter added where the layer has adapters."""
        owner, _, kind = name.rpartition(".")
        layer = self.get_submodule(owner)
        if kind == "weight" and isinstance(layer, AdaptedLinear | AdaptedEmbedding):
            return layer.merged_weight(bank)
        return self.tensor(name).float()

    def initialize(self, deviation: float = 0.02) -> None:
        """Random weights: adapters start as no change (B = 0), as in LoRA (Hu et al. 2021, section 4.1)."""
        for name, parameter in self.named_parameters():
            with torch.no_grad():
                if "norm" in name:
                    parameter.fill_(1.0 if name.endswith("weight") else 0.0)
                elif name.endswith(("bias", "lora_B")):
                    parameter.zero_()
                else:
                    parameter.normal_(0.0, deviation)

    def _rotary_table(self) -> Tensor:
        """(positions, 2, D/2)."""
        table = self._rotary
        if table is None or table.dtype != self.dtype or table.device != self.device:
            config = self.config
            table = rotary_table(
                config.max_position_embeddings, config.head_size, config.rotary_emb_base, self.dtype, self.device
            )
            self._rotary = table = table.transpose(0, 1).contiguous()
        return table
