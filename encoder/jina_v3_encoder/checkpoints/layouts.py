"""The two published layouts of jina-embeddings-v3 as tables of data, used for reading and for writing.

`original` is jinaai/jina-embeddings-v3: one file, 492 tensors at 24 layers, base weights and five-task LoRA banks under
`parametrizations.weight.*`. `hf` is jinaai/jina-embeddings-v3-hf: 294 base tensors, and one PEFT folder of 294 tensors
per task. Each file tensor becomes a `Slot`: the parameter of `JinaV3Model`, and the part of it, that the tensor fills.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from ..config import ModelConfig
from ..task import Task

Layout: TypeAlias = Literal["original", "hf"]

# (our module, the module's name in the original files); {i} is the layer.
ADAPTED_EMBEDDINGS = (
    ("word_embeddings", "embeddings.word_embeddings"),
    ("token_type_embeddings", "embeddings.token_type_embeddings"),
)
ADAPTED_LINEARS = (
    ("layers.{i}.qkv", "encoder.layers.{i}.mixer.Wqkv"),
    ("layers.{i}.out_proj", "encoder.layers.{i}.mixer.out_proj"),
    ("layers.{i}.fc1", "encoder.layers.{i}.mlp.fc1"),
    ("layers.{i}.fc2", "encoder.layers.{i}.mlp.fc2"),
    ("pooler", "pooler.dense"),
)
NORMS = (
    ("embedding_norm", "emb_ln"),
    ("layers.{i}.norm1", "encoder.layers.{i}.norm1"),
    ("layers.{i}.norm2", "encoder.layers.{i}.norm2"),
)
QKV_PARTS = ("q_proj", "k_proj", "v_proj")

# Other names that published or re-saved files use, rewritten to the original ones. Order matters: prefixes first.
ALIASES = (
    (re.compile(r"^base_model\.model\."), ""),
    (re.compile(r"^(roberta|model)\."), ""),
    (re.compile(r"^embeddings\.LayerNorm\."), "emb_ln."),
    (re.compile(r"^layers\."), "encoder.layers."),
    (re.compile(r"\.self_attn\.o_proj\."), ".mixer.out_proj."),
    (re.compile(r"\.mixer\.(q_proj|k_proj|v_proj)\."), r".self_attn.\1."),
    (re.compile(r"\.post_attention_layernorm\."), ".norm1."),
    (re.compile(r"\.post_mlp_layernorm\."), ".norm2."),
    (re.compile(r"\.(lora_[AB])\.(?!weight$)\w+\.weight$"), r".\1.weight"),
    (re.compile(r"\.(lora_embedding_[AB])\.\w+$"), r".\1"),
)
IGNORED = re.compile(r"(^|\.)(position_ids|token_type_ids|rotary_emb\.inv_freq)$")
Aliases: TypeAlias = Sequence[tuple[re.Pattern[str], str]]


@dataclass(frozen=True)
class Naming:
    """How the files of one architecture name their tensors."""

    aliases: Aliases
    """Other names than the canonical ones, and what stands in their place. Order matters."""
    ignored: re.Pattern[str]
    """Tensors that no vector depends on, by canonical name."""

    def canonical(self, name: str) -> str | None:
        """A tensor's canonical name, or None for one that is ignored."""
        for pattern, replacement in self.aliases:
            name = pattern.sub(replacement, name)
        return None if self.ignored.search(name) else name


NAMING = Naming(ALIASES, IGNORED)


@dataclass(frozen=True)
class Slot:
    """Where one file tensor goes: which parameter, which bank and third of it, and whether it is transposed.

    `copies` marks the tensors of a fused parameter that hold the same values (lora_A of q, k and v).
    """

    parameter: str
    bank: int | None = None
    third: int | None = None
    transposed: bool = False
    copies: bool = False

    def view(self, parameter: Tensor) -> Tensor:
        """The part of `parameter` that the file tensor fills, in the file's shape."""
        part = parameter if self.bank is None else parameter[self.bank]
        if self.third is not None and not self.copies:
            part = part.chunk(len(QKV_PARTS))[self.third]
        return part.T if self.transposed else part


def expand(table: Iterable[tuple[str, str]], layers: int) -> Iterator[tuple[str, str]]:
    """The rows of a table, those with {i} once for each layer."""
    for ours, theirs in table:
        for i in range(layers if "{i}" in ours else 1):
            yield ours.format(i=i), theirs.format(i=i)


def original_slots(config: ModelConfig) -> dict[str, Slot]:
    """Every tensor of the original layout by canonical name."""
    slots: dict[str, Slot] = {}
    for ours, theirs in expand(ADAPTED_EMBEDDINGS + ADAPTED_LINEARS, config.num_hidden_layers):
        slots[f"{theirs}.parametrizations.weight.original"] = Slot(f"{ours}.weight")
        for side in "AB":
            slots[f"{theirs}.parametrizations.weight.0.lora_{side}"] = Slot(f"{ours}.lora_{side}")
        if config.quantization and ours.startswith("layers."):
            slots[f"{theirs}.parametrizations.weight.scale"] = Slot(f"{ours}.weight_scale")
    for ours, theirs in expand(ADAPTED_LINEARS, config.num_hidden_layers):
        slots[f"{theirs}.bias"] = Slot(f"{ours}.bias")
    return slots | _norm_slots(config)


def hf_base_slots(config: ModelConfig, *, split_qkv: bool = False) -> dict[str, Slot]:
    """Every base tensor of the hf layout; `split_qkv` for files that already hold q_proj, k_proj and v_proj."""
    slots: dict[str, Slot] = {}
    for ours, theirs in expand(ADAPTED_EMBEDDINGS + ADAPTED_LINEARS, config.num_hidden_layers):
        kinds = ("weight",) if ours.endswith("embeddings") else ("weight", "bias")
        for kind in kinds:
            if split_qkv and theirs.endswith("Wqkv"):
                for third, part in enumerate(QKV_PARTS):
                    name = theirs.replace("mixer.Wqkv", f"self_attn.{part}")
                    slots[f"{name}.{kind}"] = Slot(f"{ours}.{kind}", third=third)
            else:
                slots[f"{theirs}.{kind}"] = Slot(f"{ours}.{kind}")
    return slots | _norm_slots(config)


def hf_adapter_slots(config: ModelConfig, task: Task) -> dict[str, Slot]:
    """Every tensor of one PEFT adapter folder by canonical name."""
    bank = config.bank(task)
    slots: dict[str, Slot] = {}
    for ours, theirs in expand(ADAPTED_EMBEDDINGS, config.num_hidden_layers):
        for side in "AB":
            slots[f"{theirs}.lora_embedding_{side}"] = Slot(f"{ours}.lora_{side}", bank, transposed=True)
    for ours, theirs in expand(ADAPTED_LINEARS, config.num_hidden_layers):
        for side in "AB":
            parameter = f"{ours}.lora_{side}"
            if not theirs.endswith("Wqkv"):
                slots[f"{theirs}.lora_{side}.weight"] = Slot(parameter, bank)
                continue
            for third, part in enumerate(QKV_PARTS):
                name = theirs.replace("mixer.Wqkv", f"self_attn.{part}")
                slots[f"{name}.lora_{side}.weight"] = Slot(parameter, bank, third, copies=side == "A")
    return slots


def _norm_slots(config: ModelConfig) -> dict[str, Slot]:
    return {
        f"{theirs}.{kind}": Slot(f"{ours}.{kind}")
        for ours, theirs in expand(NORMS, config.num_hidden_layers)
        for kind in ("weight", "bias")
    }
