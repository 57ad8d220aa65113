"""The published layout of jina-embeddings-v2 (JinaBERT) as tables of data, used for reading and for writing.

Names stand with or without `bert.` in front. A file may hold the head that the model was trained with (`cls.`): no
vector depends on it. The two variants name the MLP and its norms differently, and that is how they are told apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..errors import CheckpointMismatch
from ..jina_bert_config import JinaBertConfig, Variant
from .layouts import Naming, Slot, expand

NAMING = Naming(
    aliases=((re.compile(r"^(bert|model)\."), ""),),
    ignored=re.compile(r"^cls\.|(^|\.)(position_ids|token_type_ids|alibi)$"),
)

# (our module, the module's name in the files); {i} is the layer.
EMBEDDINGS = (
    ("word_embeddings", "embeddings.word_embeddings"),
    ("token_type_embeddings", "embeddings.token_type_embeddings"),
)
QKV_THIRDS = tuple(("layers.{i}.qkv", "encoder.layer.{i}.attention.self." + part) for part in ("query", "key", "value"))
LINEARS = (("layers.{i}.out_proj", "encoder.layer.{i}.attention.output.dense"), ("pooler", "pooler.dense"))
NORMS = (
    ("embedding_norm", "embeddings.LayerNorm"),
    ("layers.{i}.attention_norm", "encoder.layer.{i}.attention.output.LayerNorm"),
)
GATED: dict[Variant, str] = {
    "plain": "encoder.layer.{i}.mlp.gated_layers",
    "qk-post-norm": "encoder.layer.{i}.mlp.up_gated_layer",
}
"""The first half of the MLP, which has no bias. Its name tells the variant."""
LINEARS_OF: dict[Variant, tuple[tuple[str, str], ...]] = {
    "plain": (("layers.{i}.down", "encoder.layer.{i}.mlp.wo"),),
    "qk-post-norm": (("layers.{i}.down", "encoder.layer.{i}.mlp.down_layer"),),
}
NORMS_OF: dict[Variant, tuple[tuple[str, str], ...]] = {
    "plain": (("layers.{i}.norm2", "encoder.layer.{i}.mlp.layernorm"),),
    "qk-post-norm": (
        ("layers.{i}.query_norm", "encoder.layer.{i}.attention.self.layer_norm_q"),
        ("layers.{i}.key_norm", "encoder.layer.{i}.attention.self.layer_norm_k"),
        ("layers.{i}.norm1", "encoder.layer.{i}.layer_norm_1"),
        ("layers.{i}.norm2", "encoder.layer.{i}.layer_norm_2"),
    ),
}


def variant_of(names: Collection[str], source: str) -> Variant:
    """The variant that a file's canonical names belong to.

    Raises:
        CheckpointMismatch: they belong to neither, or to both.
    """
    variants = [variant for variant, module in GATED.items() if f"{module.format(i=0)}.weight" in names]
    if len(variants) != 1:
        either = " or ".join(f"{module.format(i=0)}.weight" for module in GATED.values())
        raise CheckpointMismatch(
            f"{source} holds {'neither' if not variants else 'both'} {either}, so it is no jina-embeddings-v2 as "
            "published; its config.json has position_embedding_type 'alibi'"
        )
    return variants[0]


def jina_bert_slots(config: JinaBertConfig) -> dict[str, Slot]:
    """Every tensor by canonical name. Scales stand beside weights that are bytes."""
    layers, variant = config.num_hidden_layers, config.variant
    slots: dict[str, Slot] = {}

    def add(ours: str, theirs: str, *, bias: bool = True, third: int | None = None) -> None:
        rounded = config.quantization and ours.startswith("layers.")
        for kind in ("weight", *(["weight_scale"] if rounded else []), *(["bias"] if bias else [])):
            slots[f"{theirs}.{kind}"] = Slot(f"{ours}.{kind}", third=third)

    for ours, theirs in expand(EMBEDDINGS, layers):
        add(ours, theirs, bias=False)
    for third, row in enumerate(QKV_THIRDS):
        for ours, theirs in expand([row], layers):
            add(ours, theirs, third=third)
    for ours, theirs in expand([("layers.{i}.gated", GATED[variant])], layers):
        add(ours, theirs, bias=False)
    for ours, theirs in expand(LINEARS + LINEARS_OF[variant], layers):
        add(ours, theirs)
    for ours, theirs in expand(NORMS + NORMS_OF[variant], layers):
        slots |= {f"{theirs}.{kind}": Slot(f"{ours}.{kind}") for kind in ("weight", "bias")}
    return slots
