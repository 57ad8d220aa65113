"""The config.json of jina-embeddings-v3, validated, as one frozen value.

Field names are those of the published file. Published values: hidden 1024, 24 layers, 16 heads, rotary base 20000,
rank 4, alpha 1 (config.json of jinaai/jina-embeddings-v3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from .errors import CheckpointError
from .json_file import read_object
from .task import TASK_NAMES, Task

CONFIG_FILE = "config.json"

PROMPTS: Mapping[str, str] = {
    Task.RETRIEVAL_QUERY.value: "Represent the query for retrieving evidence documents: ",
    Task.RETRIEVAL_PASSAGE.value: "Represent the document for retrieval: ",
}
MATRYOSHKA = (32, 64, 128, 256, 512, 768, 1024)
LARGEST_SIZE, MOST_LAYERS, MOST_POSITIONS = 2**24, 1024, 2**17
_SIZES = {
    "vocab_size": LARGEST_SIZE,
    "hidden_size": LARGEST_SIZE,
    "num_hidden_layers": MOST_LAYERS,
    "num_attention_heads": LARGEST_SIZE,
    "intermediate_size": LARGEST_SIZE,
    "max_position_embeddings": MOST_POSITIONS,
    "type_vocab_size": LARGEST_SIZE,
    "lora_rank": 1024,
}
"""The largest value of each field. A wrong size is noticed when it is compared with the weights, before memory is
taken. A wrong number of positions is not, and the table of angles takes four bytes for each position and half a
head."""
_NUMBERS = {"rotary_emb_base": (1, 1e12), "layer_norm_eps": (0, 1), "lora_alpha": (0, 1e6)}
"""Each value must be above the first number and at most the second."""
_TOKEN_IDS = ("bos_token_id", "pad_token_id", "eos_token_id")
_LONGEST_PROMPT, LONGEST_HEAD = 10_000, 1024
_FIXED = {"hidden_act": "gelu", "position_embedding_type": "rotary", "emb_pooler": None, "truncate_dim": None}
Quantization: TypeAlias = Literal["int8"]
QUANTIZATIONS = (None, "int8")
POSITION_MARGIN = 2
"""`max_position_embeddings` is 8194 for 8192 tokens, an XLM-RoBERTa habit."""


@dataclass(frozen=True)
class ModelConfig:
    """Geometry, adapters and prompts of one checkpoint."""

    vocab_size: int = 250002
    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    max_position_embeddings: int = 8194
    type_vocab_size: int = 1
    layer_norm_eps: float = 1e-5
    rotary_emb_base: float = 20000.0
    lora_rank: int = 4
    lora_alpha: float = 1
    lora_adaptations: tuple[str, ...] = TASK_NAMES
    task_instructions: Mapping[str, str] = field(default_factory=lambda: dict(PROMPTS))
    matryoshka_dimensions: tuple[int, ...] = MATRYOSHKA
    bos_token_id: int = 0
    pad_token_id: int = 1
    eos_token_id: int = 2
    late_chunking_window: int | None = None
    """Tokens that late chunking reads at once by default, where that was found better than as many as possible. Not a
    field of the published file, which has no such default."""
    quantization: Quantization | None = None
    """`int8` where the linear layers of the blocks are stored as bytes, as `Encoder.save_pretrained` writes them."""

    def __post_init__(self) -> None:
        for name, largest in _SIZES.items():
            check_whole(name, getattr(self, name), 1, largest)
        for name in _TOKEN_IDS:
            check_whole(name, getattr(self, name), 0, self.vocab_size - 1)
        for name, (low, high) in _NUMBERS.items():
            check_number(name, getattr(self, name), low, high)
        if self.hidden_size % self.num_attention_heads or self.head_size % 2 or self.head_size > LONGEST_HEAD:
            raise CheckpointError(
                f"config.json: hidden_size {self.hidden_size} must be an even multiple of num_attention_heads "
                f"{self.num_attention_heads}, at most {LONGEST_HEAD} times as large"
            )
        if self.max_tokens < 2:
            raise CheckpointError(
                f"config.json: max_position_embeddings {self.max_position_embeddings} leaves no room for <s> and </s>"
            )
        if self.late_chunking_window is not None:
            check_whole("late_chunking_window", self.late_chunking_window, 2, self.max_tokens)
        if sorted(self.lora_adaptations) != sorted(TASK_NAMES):
            raise CheckpointError(
                f"config.json: lora_adaptations {list(self.lora_adaptations)} are not the five tasks {list(TASK_NAMES)}"
            )
        check_quantization(self.quantization)
        for size in self.matryoshka_dimensions:
            check_whole("matryoshka_dimensions", size, 1, 2**24)
        self._check_prompts()

    def _check_prompts(self) -> None:
        prompts = self.task_instructions
        if not isinstance(prompts, Mapping):
            raise CheckpointError(
                f"config.json: task_instructions must be an object of a text for each task, got {prompts!r:.100}"
            )
        for task, prompt in prompts.items():
            if not isinstance(prompt, str) or len(prompt) > _LONGEST_PROMPT:
                raise CheckpointError(
                    f"config.json: the instruction of {task!r:.100} must be a text of at most {_LONGEST_PROMPT} "
                    f"characters, got {prompt!r:.100}"
                )

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens, specials and prompt included: 8192 for the published model."""
        return self.max_position_embeddings - POSITION_MARGIN

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names that a task may have."""
        return self.lora_adaptations

    @property
    def prompts(self) -> Mapping[str, str]:
        """The instruction that each task puts in front of a text, empty or absent for most."""
        return self.task_instructions

    @property
    def can_be_shortened(self) -> bool:
        """Whether a slice of a vector is a vector (Matryoshka)."""
        return True

    @property
    def lora_scaling(self) -> float:
        return self.lora_alpha / self.lora_rank

    def bank(self, task: Task) -> int:
        """Index of the task's adapter in the stacked LoRA tensors."""
        return self.lora_adaptations.index(task.value)

    def prompt(self, task: Task | None) -> str:
        """Text that the reference `encode()` puts before each input of `task`; empty for most."""
        return "" if task is None else self.task_instructions.get(task.value, "")

    def deciding(self) -> list[Any]:
        """What decides a vector beside the weights and the tokenizer, as JSON values. The fingerprint hashes them."""
        numbers = [self.rotary_emb_base, self.layer_norm_eps, self.lora_alpha, self.num_attention_heads]
        prompts = {task: self.task_instructions.get(task, "") for task in sorted(self.lora_adaptations)}
        return [numbers, list(self.lora_adaptations), prompts]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from a parsed config.json of either layout; absent fields take the published values.

        Raises:
            CheckpointError: a field has an impossible value, or asks for an architecture this code does not compute.
        """
        for name, expected in _FIXED.items():
            if values.get(name, expected) != expected:
                raise CheckpointError(
                    f"config.json: {name} is {values[name]!r}, jina-embeddings-v3 has {expected!r}; "
                    "this is another architecture: use jinaai/jina-embeddings-v3, and encode stored texts anew"
                )
        known = {
            config_field.name: values[config_field.name]
            for config_field in fields(cls)
            if values.get(config_field.name) is not None
        }
        rope = values.get("rope_parameters")
        if "rotary_emb_base" not in known and isinstance(rope, Mapping) and "rope_theta" in rope:
            base = rope["rope_theta"]
            known["rotary_emb_base"] = float(base) if isinstance(base, int) and base < 2**63 else base
        for name in ("lora_adaptations", "matryoshka_dimensions"):
            if name in known:
                known[name] = _as_tuple(name, known[name])
        if "hidden_size" in known and "matryoshka_dimensions" not in known:
            check_whole("hidden_size", known["hidden_size"], 1, _SIZES["hidden_size"])
            known["matryoshka_dimensions"] = tuple(size for size in MATRYOSHKA if size <= known["hidden_size"])
        return cls(**known)

    @classmethod
    def from_file(cls, path: Path) -> ModelConfig:
        """Read config.json.

        Raises:
            CheckpointNotFound: no such file.
            CheckpointError: not JSON, or impossible values.
        """
        return cls.from_dict(read_config_file(path))

    def to_dict(self) -> dict[str, Any]:
        """The fields as they stand in config.json, both readers' names for the rotary base included."""
        values = {config_field.name: getattr(self, config_field.name) for config_field in fields(self)}
        for name in ("quantization", "late_chunking_window"):
            if values[name] is None:
                del values[name]
        return {
            **values,
            "lora_adaptations": list(self.lora_adaptations),
            "matryoshka_dimensions": list(self.matryoshka_dimensions),
            "task_instructions": {task: self.task_instructions.get(task, "") for task in self.lora_adaptations},
            "hidden_act": "gelu",
            "position_embedding_type": "rotary",
            "lora_dropout_p": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "hidden_dropout_prob": 0.0,
        }


def read_config_file(path: Path) -> dict[str, Any]:
    """The object in a checkpoint's config.json.

    Raises:
        CheckpointNotFound: no such file.
        CheckpointError: not JSON.
    """
    return read_object(path, if_missing=f": a checkpoint folder holds a {CONFIG_FILE}")


def check_whole(name: str, value: object, smallest: int, largest: int) -> None:
    """Raises CheckpointError for a field that is no whole number from `smallest` to `largest`."""
    if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
        raise CheckpointError(
            f"config.json: {name} must be a whole number from {smallest} to {largest}, got {value!r:.100}"
        )


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raises CheckpointError for a field that is no number above `low`, at most `high`."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not low < value <= high:
        raise CheckpointError(f"config.json: {name} must be a number above {low}, at most {high:g}, got {value!r:.100}")


def check_quantization(value: object) -> None:
    """Raises CheckpointError for an unknown form of the weights."""
    if value not in QUANTIZATIONS:
        raise CheckpointError(f"config.json: quantization {value!r} is none of {list(QUANTIZATIONS)}")


def _as_tuple(name: str, value: object) -> tuple[Any, ...]:
    """A list whose members are all of one kind, so that they can be compared."""
    if not isinstance(value, list | tuple) or not (
        all(isinstance(member, str) for member in value) or all(isinstance(member, int) for member in value)
    ):
        raise CheckpointError(f"config.json: {name} must be a list of texts or of whole numbers, got {value!r:.100}")
    return tuple(value)
