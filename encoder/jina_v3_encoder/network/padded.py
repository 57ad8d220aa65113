"""The network of v3 over padded texts, for graphs that run elsewhere: plain operators, and shapes that B and S decide.

The packed network splits its batch by the lengths of the texts, which no exporter can follow. This one computes the
same from `input_ids` and `attention_mask`, pools and normalises. Shapes: B texts, S tokens of the longest, C hidden
size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..architecture import AnyConfig
from ..task import Task
from .jina_v3 import AdaptedEmbedding, AdaptedLinear, Block, JinaV3Model

HEADS_AT_ONCE = 4
"""Attention holds S × S weights for so many heads at once: 2 GiB at 8192 tokens, where 16 heads take 9 GiB. It is no
slower."""
MASKED = -3e4
"""Added to the attention to padding. It is finite in float16 too, so that a graph may be converted."""


def task_id(config: AnyConfig, task: Task | None) -> int:
    """The number of a task for a graph with all of them: that of its bank, or the next after the banks for no task."""
    return len(config.tasks) if task is None else config.bank(task)


class PaddedNetwork(nn.Module):
    """Token states and unit vectors of padded texts, in float32.

    With a bank, or with None for the base model, that adapter is merged into the weights. With all tasks, `forward`
    takes the task of each text (`task_id`), and computes the low-rank parts for the given tokens only.
    """

    def __init__(self, model: JinaV3Model, bank: int | None, *, all_tasks: bool = False) -> None:
        """`model` gives its weights. It must hold no bytes (`quantize`)."""
        super().__init__()
        config = model.config
        self.word_embeddings = _Table(model.word_embeddings, bank, all_tasks)
        self.token_type_embeddings = _Table(model.token_type_embeddings, bank, all_tasks)
        self.embedding_norm = copied_norm(model.embedding_norm)
        self.layers = nn.ModuleList(_PaddedBlock(block, bank, all_tasks) for block in _blocks(model))
        exponents = torch.arange(0, config.head_size, 2, dtype=torch.float32) / config.head_size
        self.frequencies = nn.Parameter(config.rotary_emb_base**-exponents, requires_grad=False)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, task_id: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Shapes: ids and mask (B, S) int64, task ids (B,) or None -> (B, S, C) and (B, C)."""
        x = self.word_embeddings(input_ids, task_id)
        x = x + self.token_type_embeddings(torch.zeros_like(input_ids[:, :1]), task_id)
        x = self.embedding_norm(x)
        angles = torch.arange(input_ids.shape[1], dtype=torch.float32)[:, None] * self.frequencies
        cos, sin = angles.cos(), angles.sin()
        masked = masked_keys(attention_mask, x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin, masked, task_id)
        return x, unit_means(x, attention_mask)


class _PaddedBlock(nn.Module):
    """As `Block`, over (B, S, C)."""

    def __init__(self, block: Block, bank: int | None, all_tasks: bool) -> None:
        super().__init__()
        self.heads, self.head_size = block.heads, block.out_proj.lora_A.shape[-1] // block.heads
        self.qkv, self.out_proj = (_Linear(layer, bank, all_tasks) for layer in (block.qkv, block.out_proj))
        self.fc1, self.fc2 = (_Linear(layer, bank, all_tasks) for layer in (block.fc1, block.fc2))
        self.norm1, self.norm2 = copied_norm(block.norm1), copied_norm(block.norm2)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, masked: Tensor, task_id: Tensor | None) -> Tensor:
        qkv = self.qkv(x, task_id).unflatten(-1, (3, self.heads, self.head_size)).permute(2, 0, 3, 1, 4)
        query, key = _rotate(qkv[0], cos, sin), _rotate(qkv[1], cos, sin)
        mixed = padded_attention(query, key, qkv[2], masked)
        x = self.norm1(self.out_proj(mixed, task_id) + x)
        return self.norm2(self.fc2(F.gelu(self.fc1(x, task_id)), task_id) + x)  # type: ignore[no-any-return]


class _Linear(nn.Module):
    """A linear layer with one adapter merged, or with all of them beside it.

    The banks are (T + 1, in, r) and (T + 1, r, out), scaled; the last one is zero and stands for the base model.
    """

    def __init__(self, layer: AdaptedLinear, bank: int | None, all_tasks: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.merged_weight(bank), requires_grad=False)
        self.bias = nn.Parameter(layer.bias.detach().float(), requires_grad=False)
        if all_tasks:
            self.down = _banks(layer.lora_A.transpose(1, 2))
            self.up = _banks(layer.lora_B.transpose(1, 2) * layer.scaling)

    def forward(self, x: Tensor, task_id: Tensor | None) -> Tensor:
        y = F.linear(x, self.weight, self.bias)
        return y if task_id is None else y + x @ self.down[task_id] @ self.up[task_id]


class _Table(nn.Module):
    """An embedding with one adapter merged, or with all of them beside it.

    The banks are ((T + 1) × num, r), one table under the other, and (T + 1, r, C), scaled.
    """

    def __init__(self, table: AdaptedEmbedding, bank: int | None, all_tasks: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(table.merged_weight(bank), requires_grad=False)
        if all_tasks:
            self.down = nn.Parameter(_banks(table.lora_A).flatten(0, 1), requires_grad=False)
            self.up = _banks(table.lora_B * table.scaling)

    def forward(self, ids: Tensor, task_id: Tensor | None) -> Tensor:
        y = F.embedding(ids, self.weight)
        if task_id is None:
            return y
        rows = ids + task_id[:, None] * len(self.weight)
        return y + F.embedding(rows, self.down) @ self.up[task_id]


def masked_keys(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the scores: nothing, or `MASKED` for padding. Shapes: (B, S) -> (B, 1, 1, S)."""
    return (1 - attention_mask.to(dtype)[:, None, None, :]) * MASKED


def unit_means(x: Tensor, attention_mask: Tensor) -> Tensor:
    """Normalised means of the states that are no padding. Shapes: (B, S, C) and (B, S) -> (B, C)."""
    weights = attention_mask.to(x.dtype)[:, :, None]
    return F.normalize((x * weights).sum(1) / weights.sum(1).clamp(min=1), dim=-1)


def padded_attention(query: Tensor, key: Tensor, value: Tensor, masked: Tensor, falls: Tensor | None = None) -> Tensor:
    """Shapes: all (B, H, S, D), masked (B, 1, 1, S), falls (H, 1, 1) -> (B, S, C).

    Some heads after the others, see `HEADS_AT_ONCE`. `falls` is what ALiBi adds for each token of distance. In plain
    products, since torch's fused operator becomes a graph that makes more copies of the S × S weights.
    """
    query, key = query * query.shape[-1] ** -0.5, key.transpose(-1, -2)
    parts = zip(*(torch.split(tensor, HEADS_AT_ONCE, dim=1) for tensor in (query, key, value)), strict=True)
    if falls is None:
        mixed = [torch.softmax(q @ k + masked, dim=-1) @ v for q, k, v in parts]
    else:
        places = torch.arange(query.shape[2], dtype=query.dtype)
        distances = (places[:, None] - places).abs()
        slopes = torch.split(falls, HEADS_AT_ONCE)
        mixed = [
            torch.softmax(q @ k + slope * distances + masked, dim=-1) @ v
            for (q, k, v), slope in zip(parts, slopes, strict=True)
        ]
    return torch.cat(mixed, dim=1).transpose(1, 2).flatten(2)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Shapes: x (B, H, S, D), cos and sin (S, D/2)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def _banks(tensor: Tensor) -> nn.Parameter:
    values = tensor.detach().float()
    return nn.Parameter(torch.cat((values, torch.zeros_like(values[:1]))), requires_grad=False)


def copied_norm(norm: nn.LayerNorm) -> nn.LayerNorm:
    """A norm in float32."""
    copy = nn.LayerNorm(norm.normalized_shape, eps=norm.eps).requires_grad_(False)
    copy.weight.copy_(norm.weight.detach())
    copy.bias.copy_(norm.bias.detach())
    return copy


def _blocks(model: JinaV3Model) -> list[Block]:
    return [block for block in model.layers if isinstance(block, Block)]
