"""The config.json of jina-embeddings-v2 (JinaBERT), validated, as one frozen value.

Field names are those of the published file. Published values: hidden 768, 12 layers, 12 heads; small-en has 512, 4 and
8. It has no tasks, no prompts, and vectors of one size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from .config import (
    LARGEST_SIZE,
    LONGEST_HEAD,
    MOST_LAYERS,
    MOST_POSITIONS,
    Quantization,
    check_number,
    check_quantization,
    check_whole,
)
from .errors import CheckpointError, UnknownTask
from .task import Task

ALIBI = "alibi"
"""The `position_embedding_type` that tells this architecture from others."""
Variant: TypeAlias = Literal["plain", "qk-post-norm"]
"""base-code is `qk-post-norm`, all others are `plain`. Both have the same config.json; names of tensors tell."""
VARIANTS: tuple[Variant, ...] = get_args(Variant)
IMPLEMENTATIONS: Mapping[Variant, str] = {
    "plain": "jinaai/jina-bert-implementation",
    "qk-post-norm": "jinaai/jina-bert-v2-qk-post-norm",
}
"""Where the published code of each variant lies. Other programs tell the variants by this name in config.json."""
_SIZES = {
    "vocab_size": LARGEST_SIZE,
    "hidden_size": LARGEST_SIZE,
    "num_hidden_layers": MOST_LAYERS,
    "num_attention_heads": LARGEST_SIZE,
    "intermediate_size": LARGEST_SIZE,
    "type_vocab_size": LARGEST_SIZE,
    "model_max_length": MOST_POSITIONS,
}
_FIXED = {"hidden_act": "gelu", "position_embedding_type": ALIBI, "feed_forward_type": "geglu", "emb_pooler": "mean"}


@dataclass(frozen=True)
class JinaBertConfig:
    """Geometry of one checkpoint."""

    vocab_size: int = 30528
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    model_max_length: int = 8192
    pad_token_id: int = 0
    variant: Variant = "plain"
    quantization: Quantization | None = None
    """`int8` where the linear layers of the blocks are stored as bytes, as `Encoder.save_pretrained` writes them."""

    def __post_init__(self) -> None:
        for name, largest in _SIZES.items():
            check_whole(name, getattr(self, name), 2 if name == "model_max_length" else 1, largest)
        check_whole("pad_token_id", self.pad_token_id, 0, self.vocab_size - 1)
        check_number("layer_norm_eps", self.layer_norm_eps, 0, 1)
        if self.hidden_size % self.num_attention_heads or self.head_size > LONGEST_HEAD:
            raise CheckpointError(
                f"config.json: hidden_size {self.hidden_size} must be a multiple of num_attention_heads "
                f"{self.num_attention_heads}, at most {LONGEST_HEAD} times as large"
            )
        if self.variant not in VARIANTS:
            raise CheckpointError(f"variant {self.variant!r} is none of {list(VARIANTS)}")
        check_quantization(self.quantization)

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens. `max_position_embeddings` is another one in each copy, and means nothing here."""
        return self.model_max_length

    @property
    def matryoshka_dimensions(self) -> tuple[int, ...]:
        """The one size that it was trained for."""
        return (self.hidden_size,)

    @property
    def can_be_shortened(self) -> bool:
        """Whether a slice of a vector is a vector. It was not trained for that."""
        return False

    @property
    def late_chunking_window(self) -> None:
        """As many tokens as possible."""
        return None

    @property
    def tasks(self) -> tuple[str, ...]:
        """None at all."""
        return ()

    @property
    def prompts(self) -> Mapping[str, str]:
        """None at all."""
        return {}

    @property
    def bos_token_id(self) -> None:
        """Files do not have it reliably: the tokenizer knows."""
        return None

    @property
    def eos_token_id(self) -> None:
        """Files do not have it reliably: the tokenizer knows."""
        return None

    def bank(self, task: Task) -> int:
        """Raises UnknownTask: there are no adapters."""
        raise UnknownTask(task.value, self.tasks)

    def prompt(self, _: Task | None) -> str:
        """Text that stands before each input: none."""
        return ""

    def deciding(self) -> list[Any]:
        """What decides a vector beside the weights and the tokenizer, as JSON values. The fingerprint hashes them."""
        return ["jina-bert", self.variant, self.layer_norm_eps, self.num_attention_heads]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], variant: Variant = "plain") -> JinaBertConfig:
        """Build from a parsed config.json; absent fields take the published values of base-en.

        Raises:
            CheckpointError: a field has an impossible value, or asks for an architecture this code does not compute.
        """
        for name, expected in _FIXED.items():
            if values.get(name) not in (None, expected):
                raise CheckpointError(
                    f"config.json: {name} is {values[name]!r:.100}, jina-embeddings-v2 has {expected!r}; this is "
                    "another architecture: use one of jinaai/jina-embeddings-v2-*, or jinaai/jina-embeddings-v3"
                )
        known = {
            config_field.name: values[config_field.name]
            for config_field in fields(cls)
            if config_field.name != "variant" and values.get(config_field.name) is not None
        }
        return cls(**known, variant=variant)

    def to_dict(self) -> dict[str, Any]:
        """The fields as they stand in config.json."""
        values = {config_field.name: getattr(self, config_field.name) for config_field in fields(self)}
        del values["variant"]
        if self.quantization is None:
            del values["quantization"]
        return {
            "_name_or_path": IMPLEMENTATIONS[self.variant],
            "model_type": "bert",
            **values,
            **_FIXED,
            "max_position_embeddings": self.model_max_length,
            "attention_probs_dropout_prob": 0.0,
            "hidden_dropout_prob": 0.0,
        }
