"""The starting point: layers of the teacher, rows for the new vocabulary, rotated so that prefixes matter most."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.texts.blend import BLEND_WINDOW

from .teacher import teacher_folder

TEACHER_LAYERS = (0, 4, 5)
POSITIONS_AVERAGED = 64
SPECIALS = {"<s>": "[CLS]", "<pad>": "[PAD]", "</s>": "[SEP]", "<unk>": "[UNK]", "<mask>": "[MASK]"}
LAYER_PARTS = (
    ("out_proj", "attention.output.dense"),
    ("norm1", "attention.output.LayerNorm"),
    ("fc1", "intermediate.dense"),
    ("fc2", "output.dense"),
    ("norm2", "output.LayerNorm"),
)


def teacher_weights() -> dict[str, Tensor]:
    weights = load_file(teacher_folder() / "model.safetensors")
    return {re.sub(r"^bert\.", "", name): value.float() for name, value in weights.items()}


def token_rows(tokenizer: Tokenizer, teacher: dict[str, Tensor]) -> NDArray[np.float32]:
    """Rows (V, C): the mean of the teacher's word-piece rows of each token's string."""
    pieces = Tokenizer.from_file(str(teacher_folder() / "tokenizer.json"))
    pieces.no_truncation()
    pieces.no_padding()
    table = teacher["embeddings.word_embeddings.weight"].numpy()
    rows = np.zeros((tokenizer.get_vocab_size(), table.shape[1]), dtype=np.float32)
    for token, index in tokenizer.get_vocab().items():
        if token in SPECIALS:
            ids = pieces.encode(SPECIALS[token], add_special_tokens=False).ids
        else:
            ids = pieces.encode(token.replace("\u2581", " ").strip(), add_special_tokens=False).ids
        rows[index] = table[ids].mean(0) if ids else table.mean(0)
    return rows


def initial_model(config: ModelConfig, rows: NDArray[np.float32], basis: NDArray[np.float32]) -> JinaV3Model:
    """The teacher's layers with `rows` as vocabulary, in coordinates rotated by `basis` (C, C).

    Rotation commutes with everything but LayerNorm's gains, which are taken at their diagonal: training repairs it.
    """
    teacher, turn = teacher_weights(), torch.from_numpy(basis)
    model = JinaV3Model(config)
    model.initialize()
    state = model.state_dict()
    state["word_embeddings.weight"] = torch.from_numpy(rows) @ turn
    constant = teacher["embeddings.token_type_embeddings.weight"][:1]
    constant = constant + teacher["embeddings.position_embeddings.weight"][:POSITIONS_AVERAGED].mean(0)
    state["token_type_embeddings.weight"] = constant @ turn
    _norm(state, "embedding_norm", teacher, "embeddings.LayerNorm", turn)
    for ours, theirs in enumerate(TEACHER_LAYERS):
        _layer(state, f"layers.{ours}", teacher, f"encoder.layer.{theirs}", turn)
    model.load_state_dict(state)
    return model


def _layer(state: dict[str, Tensor], ours: str, teacher: dict[str, Tensor], theirs: str, turn: Tensor) -> None:
    parts = [f"{theirs}.attention.self.{name}" for name in ("query", "key", "value")]
    state[f"{ours}.qkv.weight"] = torch.cat([teacher[f"{part}.weight"] for part in parts]) @ turn
    state[f"{ours}.qkv.bias"] = torch.cat([teacher[f"{part}.bias"] for part in parts])
    for part, name in LAYER_PARTS:
        if part.startswith("norm"):
            _norm(state, f"{ours}.{part}", teacher, f"{theirs}.{name}", turn)
            continue
        weight, bias = teacher[f"{theirs}.{name}.weight"], teacher[f"{theirs}.{name}.bias"]
        reads_residual = part == "fc1"
        state[f"{ours}.{part}.weight"] = weight @ turn if reads_residual else turn.T @ weight
        state[f"{ours}.{part}.bias"] = bias if reads_residual else bias @ turn


def _norm(state: dict[str, Tensor], ours: str, teacher: dict[str, Tensor], theirs: str, turn: Tensor) -> None:
    state[f"{ours}.weight"] = (turn * teacher[f"{theirs}.weight"][:, None] * turn).sum(0)
    state[f"{ours}.bias"] = teacher[f"{theirs}.bias"] @ turn


def config_for(vocabulary: int) -> ModelConfig:
    """Three layers of MiniLM's width: under 28 MB as bfloat16 at 19,520 tokens."""
    return ModelConfig(
        vocab_size=vocabulary,
        hidden_size=384,
        num_hidden_layers=len(TEACHER_LAYERS),
        num_attention_heads=12,
        intermediate_size=1536,
        matryoshka_dimensions=(32, 64, 128, 256, 384),
        late_chunking_window=BLEND_WINDOW,
    )


def tokenizer_from(path: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
