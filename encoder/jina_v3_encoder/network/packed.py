"""What all networks over packed texts share: the batch, the run through the layers, packing and rounding of weights.

Shapes: N tokens in a batch, C hidden size, H heads, D head size.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self, cast

import torch
from torch import Tensor, nn

from ..architecture import AnyConfig
from ..jina_bert_config import JinaBertConfig
from .attention import AttentionChoice, EqualTexts
from .kernels import Kernels, default_kernels
from .layers import WeightedLayer
from .linear import Runs


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


class PackedBlock(Protocol):
    """One layer: attention and MLP. Its steps stand apart, since a long text is read in parts of its rows."""

    def project(self, x: Tensor, places: Tensor, runs: Runs) -> tuple[Tensor, Tensor]:
        """Queries and keys (N, 2, H, D), and values (N, H, D), of states (N, C) at `PackedNetwork.places`."""

    def attend(self, qk: Tensor, v: Tensor, batch: PackedBatch, choice: AttentionChoice) -> Tensor:
        """Attention within each text of a whole batch: (N, C)."""

    def attend_rows(self, query: Tensor, key: Tensor, value: Tensor, first: int, choice: AttentionChoice) -> Tensor:
        """Attention of rows `first` and following of one text: query (R, H, D), key and value (H, N, D) -> (R, C)."""

    def finish(self, x: Tensor, mixed: Tensor, runs: Runs) -> Tensor:
        """What follows attention, row by row. Shapes: both (N, C) -> (N, C)."""


class PackedNetwork(nn.Module):
    """Token states of packed texts. A network has `embed`, `places` and blocks; the rest is here.

    A pooler is kept for faithful saving and never computed.
    """

    layers: nn.ModuleList

    def __init__(self, config: AnyConfig) -> None:
        super().__init__()
        self.config = config
        self._kernels: Kernels | None = None

    @abstractmethod
    def embed(self, ids: Tensor, runs: Runs) -> Tensor:
        """The first layer's input (N, C)."""

    @abstractmethod
    def places(self, positions: Tensor) -> Tensor:
        """What the blocks want to know of positions (N,): a tensor of N rows."""

    @property
    def kernels(self) -> Kernels:
        """Those that it was packed for, else the usual ones."""
        return self._kernels or default_kernels(self.dtype, alibi=isinstance(self.config, JinaBertConfig))

    @property
    def dtype(self) -> torch.dtype:
        return self._table.dtype

    @property
    def device(self) -> torch.device:
        return self._table.device

    def forward(self, batch: PackedBatch) -> Tensor:
        """Last hidden states (N, C)."""
        x = self.embed(batch.ids, batch.runs)
        places, choice = self.places(batch.positions), self.kernels.attention
        for layer in range(len(self.layers)):
            block = self.block(layer)
            mixed = block.attend(*block.project(x, places, batch.runs), batch, choice)
            x = block.finish(x, mixed, batch.runs)
        return x

    def block(self, layer: int) -> PackedBlock:
        return cast(PackedBlock, self.layers[layer])

    def cast(self, dtype: torch.dtype) -> Self:
        """Convert to another compute dtype. Bytes and their scales stay as they are."""
        for name, parameter in self.named_parameters():
            if parameter.is_floating_point() and not name.endswith("weight_scale"):
                parameter.data = parameter.data.to(dtype)
        return self

    def quantize(self) -> None:
        """Round the linear layers of all blocks to bytes (see `quantize`). Not after `pack`."""
        for layer in self._block_layers():
            layer.quantize()
        self.config = replace(self.config, quantization="int8")

    def pack(self, kernels: Kernels) -> None:
        """Bring weights into the form that the CPU multiplies fastest, one layer at a time. For inference only."""
        self._kernels = kernels
        for layer in self._block_layers():
            layer.pack(kernels)

    def tensor_names(self) -> list[str]:
        """Names of all weights, sorted; packing does not change them."""
        packed = [f"{name}.weight" for name, layer in self.named_modules() if isinstance(layer, WeightedLayer)]
        return sorted({name for name, _ in self.named_parameters()} | set(packed))

    def tensor(self, name: str) -> Tensor:
        """A weight by name, as it was loaded."""
        owner, _, kind = name.rpartition(".")
        layer = self.get_submodule(owner)
        if kind == "weight" and isinstance(layer, WeightedLayer):
            return layer.plain_weight().detach()
        return self.get_parameter(name).detach()

    def _block_layers(self) -> Iterator[WeightedLayer]:
        return (layer for layer in self.layers.modules() if isinstance(layer, WeightedLayer))

    @property
    def _table(self) -> nn.Parameter:
        """A weight that is never packed."""
        return self.get_parameter("word_embeddings.weight")
