"""The network: XLM-RoBERTa with rotary positions and five LoRA adapters, over packed texts.

Follows jinaai/xlm-roberta-flash-implementation: post-LN blocks, fused QKV, exact GELU, adapters on every linear and
both embeddings (paper: Sturua et al. 2024, section 3). Usable for inference and training alike.
Shapes: N tokens in a batch, C hidden size, T tasks, r rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import ModelConfig
from .attention import EqualTexts, attend, rotary_table, rotate
from .kernels import Kernels, default_kernels
from .linear import ExtendedProduct, PackedProduct, Product, Runs, can_extend, can_pack
from .quantize import Int8Product, quantize_weight


@dataclass(frozen=True)
class PackedBatch:
    """Texts laid end to end. `ids` and `positions` are (N,); texts of one task lie together.

    `starts` holds where each text begins, and N: (texts + 1,), int32.
    """

    ids: Tensor
    positions: Tensor
    starts: Tensor
    groups: tuple[EqualTexts, ...]
    runs: Runs


class AdaptedLinear(nn.Module):
    """A linear layer with T low-rank adapters: weight (out, in), lora_A (T, r, in), lora_B (T, out, r).

    `int8` layers hold the weight as bytes and a float32 scale for each output. They work only after `pack`.
    """

    weight: nn.Parameter
    weight_scale: nn.Parameter

    def __init__(self, inputs: int, outputs: int, config: ModelConfig, *, int8: bool = False) -> None:
        super().__init__()
        tasks, rank = len(config.lora_adaptations), config.lora_rank
        self.scaling = config.lora_scaling
        self.product: Product | ExtendedProduct | None = None
        if int8:
            self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=torch.int8), requires_grad=False)
            self.weight_scale = nn.Parameter(torch.empty(outputs), requires_grad=False)
        else:
            self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.lora_A = nn.Parameter(torch.empty(tasks, rank, inputs))
        self.lora_B = nn.Parameter(torch.empty(tasks, outputs, rank))

    def forward(self, x: Tensor, runs: Runs, *, gelu: bool = False) -> Tensor:
        """(N, in) -> (N, out), with exact GELU after it if asked."""
        if isinstance(self.product, ExtendedProduct):
            return self.product(self.product.extend(x, runs, self.lora_A), self.bias, gelu=gelu)
        y = F.linear(x, self.weight, self.bias) if self.product is None else self.product(x, self.bias)
        for bank, rows in runs:
            y[rows].addmm_(x[rows] @ self.lora_A[bank].T, self.lora_B[bank].T, alpha=self.scaling)
        return _gelu(y) if gelu else y

    def pack(self, kernels: Kernels) -> None:
        """Bring the weight into the form that the CPU multiplies fastest. `plain_weight` still returns it as it was."""
        if self.product is not None:
            return
        if self.weight.dtype is torch.int8:
            self.product = Int8Product.of(self.weight, self.weight_scale)
        elif kernels.product != "plain" and can_pack(self.weight):
            self.product = (
                ExtendedProduct.of(self.weight, self.lora_B, self.scaling)
                if kernels.product == "extended" and can_extend(self.weight)
                else PackedProduct.of(self.weight)
            )
        if self.product is not None:
            del self.weight

    def plain_weight(self) -> Tensor:
        """(out, in), as it was loaded."""
        return self.weight if self.product is None else self.product.plain()

    def merged_weight(self, bank: int | None) -> Tensor:
        """(out, in) in float32: the weight with one adapter added, or as it is. Not for bytes."""
        weight = self.plain_weight().detach().float()
        return (
            weight if bank is None else weight + self.scaling * (self.lora_B[bank].float() @ self.lora_A[bank].float())
        )

    def quantize(self) -> None:
        """Round the weight to bytes."""
        values, scales = quantize_weight(self.weight)
        self.weight = nn.Parameter(values, requires_grad=False)
        self.weight_scale = nn.Parameter(scales, requires_grad=False)


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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, batch: PackedBatch, kernels: Kernels) -> Tensor:
        """(N, C) -> (N, C)."""
        qk, v = self.project(x, cos, sin, batch.runs)
        mixed = attend(qk, v, batch.groups, batch.starts, kernels.attention)
        return self.finish(x, mixed, batch.runs)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor, runs: Runs) -> tuple[Tensor, Tensor]:
        """Rotated queries and keys (N, 2, H, D), and values (N, H, D)."""
        qkv = self.qkv(x, runs).view(len(x), 3, self.heads, -1)
        return rotate(qkv[:, :2], cos, sin), qkv[:, 2]

    def finish(self, x: Tensor, mixed: Tensor, runs: Runs) -> Tensor:
        """What follows attention, row by row. Shapes: both (N, C) -> (N, C)."""
        x = self.norm1(self.out_proj(mixed, runs).add_(x))
        return self.norm2(self.fc2(self.fc1(x, runs, gelu=True), runs).add_(x))  # type: ignore[no-any-return]


def _gelu(x: Tensor) -> Tensor:
    """Exact GELU, in place if no gradient needs the input, so that the widest activation stays in the caches."""
    return F.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)


class JinaV3Model(nn.Module):
    """Token states of packed texts. The pooler is kept for faithful saving and never computed."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.word_embeddings = AdaptedEmbedding(config.vocab_size, config)
        self.token_type_embeddings = AdaptedEmbedding(config.type_vocab_size, config)
        self.embedding_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.pooler = AdaptedLinear(config.hidden_size, config.hidden_size, config)
        self._rotary: Tensor | None = None
        self._kernels: Kernels | None = None

    @property
    def kernels(self) -> Kernels:
        """Those that it was packed for, else the usual ones."""
        return self._kernels or default_kernels(self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        return self.word_embeddings.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.word_embeddings.weight.device

    def forward(self, batch: PackedBatch) -> Tensor:
        """Last hidden states (N, C)."""
        x = self.embed(batch.ids, batch.runs)
        cos, sin = self.rotary(batch.positions)
        for layer in self.layers:
            x = layer(x, cos, sin, batch, self.kernels)
        return x

    def embed(self, ids: Tensor, runs: Runs) -> Tensor:
        """The first layer's input (N, C)."""
        x = self.word_embeddings(ids, runs)
        x = x + self.token_type_embeddings(torch.zeros_like(ids), runs)
        return self.embedding_norm(x)  # type: ignore[no-any-return]

    def rotary(self, positions: Tensor) -> Tensor:
        """Cosines and sines (2, N, 1, 1, D/2) of positions (N,)."""
        return self._rotary_table()[:, positions, None, None]

    def block(self, layer: int) -> Block:
        return cast(Block, self.layers[layer])

    def cast(self, dtype: torch.dtype) -> JinaV3Model:
        """Convert to another compute dtype. Bytes and their scales stay as they are."""
        for name, parameter in self.named_parameters():
            if parameter.is_floating_point() and not name.endswith("weight_scale"):
                parameter.data = parameter.data.to(dtype)
        return self

    def quantize(self) -> None:
        """Round the linear layers of all blocks to bytes (see `quantize`). Not after `pack`."""
        for layer in self._block_linears():
            layer.quantize()
        self.config = replace(self.config, quantization="int8")

    def pack(self, kernels: Kernels) -> None:
        """Bring weights into the form that the CPU multiplies fastest, one layer at a time. For inference only."""
        self._kernels = kernels
        for layer in self._block_linears():
            layer.pack(kernels)

    def tensor_names(self) -> list[str]:
        """Names of all weights, sorted; packing does not change them."""
        packed = [f"{name}.weight" for name, layer in self.named_modules() if isinstance(layer, AdaptedLinear)]
        return sorted({name for name, _ in self.named_parameters()} | set(packed))

    def tensor(self, name: str) -> Tensor:
        """A weight by name, as it was loaded."""
        owner, _, kind = name.rpartition(".")
        layer = self.get_submodule(owner)
        if kind == "weight" and isinstance(layer, AdaptedLinear):
            return layer.plain_weight().detach()
        return self.get_parameter(name).detach()

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

    def _block_linears(self) -> Iterator[AdaptedLinear]:
        return (layer for layer in self.layers.modules() if isinstance(layer, AdaptedLinear))

    def _rotary_table(self) -> Tensor:
        table = self._rotary
        if table is None or table.dtype != self.dtype or table.device != self.device:
            config = self.config
            table = rotary_table(
                config.max_position_embeddings, config.head_size, config.rotary_emb_base, self.dtype, self.device
            )
            self._rotary = table
        return table
