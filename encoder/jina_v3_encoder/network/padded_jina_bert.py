"""JinaBERT over padded texts, for graphs that run elsewhere. As `padded`, with ALiBi and without tasks.

Shapes: B texts, S tokens of the longest, C hidden size, I intermediate size, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .alibi import alibi_slopes
from .jina_bert import JinaBertBlock, JinaBertModel
from .layers import WeightedLayer
from .padded import copied_norm, masked_keys, padded_attention, unit_means


class PaddedJinaBert(nn.Module):
    """Token states and unit vectors of padded texts, in float32."""

    def __init__(self, model: JinaBertModel) -> None:
        """`model` gives its weights. It must hold no bytes (`quantize`)."""
        super().__init__()
        self.word_embeddings = _fixed(model.word_embeddings.weight)
        self.token_type = _fixed(model.token_type_embeddings.weight[0])
        self.embedding_norm = copied_norm(model.embedding_norm)
        slopes = torch.tensor(alibi_slopes(model.config.num_attention_heads))
        self.falls = _fixed(-slopes[:, None, None])
        self.layers = nn.ModuleList(_PaddedBlock(block) for block in model.layers if isinstance(block, JinaBertBlock))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes: both (B, S) int64 -> (B, S, C) and (B, C)."""
        x = self.embedding_norm(F.embedding(input_ids, self.word_embeddings) + self.token_type)
        masked = masked_keys(attention_mask, x.dtype)
        for layer in self.layers:
            x = layer(x, self.falls, masked)
        return x, unit_means(x, attention_mask)


class _PaddedBlock(nn.Module):
    """As `JinaBertBlock`, over (B, S, C)."""

    def __init__(self, block: JinaBertBlock) -> None:
        super().__init__()
        self.heads, self.gate_first = block.heads, block.gated.gate_first
        self.qkv, self.out_proj = _Linear(block.qkv), _Linear(block.out_proj)
        self.gated, self.down = _Linear(block.gated), _Linear(block.down)
        self.attention_norm, self.norm2 = copied_norm(block.attention_norm), copied_norm(block.norm2)
        self.query_norm, self.key_norm, self.norm1 = (
            None if norm is None else copied_norm(norm) for norm in (block.query_norm, block.key_norm, block.norm1)
        )

    def forward(self, x: Tensor, falls: Tensor, masked: Tensor) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        y = self.attention_norm(self.out_proj(padded_attention(query, key, value, masked, falls)) + x)
        if self.norm1 is not None:
            y = self.norm1(y + x)
        first, second = self.gated(y).chunk(2, dim=-1)
        between = F.gelu(first) * second if self.gate_first else first * F.gelu(second)
        return self.norm2(self.down(between) + y)  # type: ignore[no-any-return]


class _Linear(nn.Module):
    """A linear layer with its weight as it was loaded."""

    def __init__(self, layer: WeightedLayer) -> None:
        super().__init__()
        self.weight = _fixed(layer.plain_weight())
        self.bias = None if layer.bias is None else _fixed(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


def _fixed(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().float(), requires_grad=False)
