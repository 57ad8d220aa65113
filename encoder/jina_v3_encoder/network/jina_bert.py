"""The network of jina-embeddings-v2: BERT with ALiBi and a gated MLP (JinaBERT), over packed texts.

Two variants are published. `plain` (jinaai/jina-bert-implementation) takes GELU of the first half of the gated layer.
`qk-post-norm` (jinaai/jina-bert-v2-qk-post-norm) takes it of the second half, norms queries and keys over all heads
together, and adds the layer's input twice. Both are post-LN, with exact GELU.
Shapes: N tokens in a batch, C hidden size, I intermediate size, H heads, D head size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..jina_bert_config import JinaBertConfig
from .alibi import Alibi
from .attention import AttentionChoice, attend, attend_rows
from .layers import GatedLinear, Linear
from .linear import Runs
from .packed import PackedBatch, PackedNetwork


class JinaBertBlock(nn.Module):
    """Attention and gated MLP, each followed by its residual and then LayerNorm (post-LN)."""

    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        size, wide, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        plain, int8 = config.variant == "plain", config.quantization == "int8"
        self.heads = config.num_attention_heads
        self.qkv = Linear(size, 3 * size, int8=int8)
        self.query_norm = None if plain else nn.LayerNorm(size, eps=eps)
        self.key_norm = None if plain else nn.LayerNorm(size, eps=eps)
        self.out_proj = Linear(size, size, int8=int8)
        self.attention_norm = nn.LayerNorm(size, eps=eps)
        self.norm1 = None if plain else nn.LayerNorm(size, eps=eps)
        self.gated = GatedLinear(size, wide, gate_first=plain, int8=int8)
        self.down = Linear(wide, size, int8=int8)
        self.norm2 = nn.LayerNorm(size, eps=eps)

    def project(self, x: Tensor, _: Tensor, runs: Runs) -> tuple[Tensor, Tensor]:
        """Queries and keys (N, 2, H, D), and values (N, H, D)."""
        qkv = self.qkv(x).unflatten(-1, (3, -1))
        qk, v = qkv[:, :2], qkv[:, 2]
        if self.query_norm is not None and self.key_norm is not None:
            qk = torch.stack((self.query_norm(qk[:, 0]), self.key_norm(qk[:, 1])), dim=1)
        return qk.unflatten(-1, (self.heads, -1)), v.unflatten(-1, (self.heads, -1))

    def attend(self, qk: Tensor, v: Tensor, batch: PackedBatch, choice: AttentionChoice) -> Tensor:
        """Attention within each text: (N, C)."""
        return attend(qk, v, batch.groups, batch.starts, choice, Alibi(self.heads))

    def attend_rows(self, query: Tensor, key: Tensor, value: Tensor, first: int, choice: AttentionChoice) -> Tensor:
        """Attention of rows `first` and following of one text: (R, C)."""
        return attend_rows(query, key, value, choice, Alibi(self.heads, first))

    def finish(self, x: Tensor, mixed: Tensor, runs: Runs) -> Tensor:
        """What follows attention, row by row. Shapes: both (N, C) -> (N, C)."""
        y = self.attention_norm(self.out_proj(mixed).add_(x))
        if self.norm1 is not None:
            y = self.norm1(y.add_(x))
        return self.norm2(self.down(self.gated(y)).add_(y))  # type: ignore[no-any-return]


class JinaBertModel(PackedNetwork):
    """The network of jina-embeddings-v2."""

    config: JinaBertConfig

    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, size)
        self.embedding_norm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(JinaBertBlock(config) for _ in range(config.num_hidden_layers))
        self.pooler = Linear(size, size)

    def embed(self, ids: Tensor, runs: Runs) -> Tensor:
        """The first layer's input (N, C). All tokens are of type 0."""
        return self.embedding_norm(self.word_embeddings(ids) + self.token_type_embeddings.weight[0])  # type: ignore[no-any-return]

    def places(self, positions: Tensor) -> Tensor:
        """The positions themselves, which no block reads: attention counts rows."""
        return positions
