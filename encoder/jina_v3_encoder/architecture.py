"""Which of the networks a config.json describes: jina-embeddings-v3, or JinaBERT (jina-embeddings-v2)."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from .config import ModelConfig, read_config_file
from .jina_bert_config import ALIBI, JinaBertConfig

AnyConfig: TypeAlias = ModelConfig | JinaBertConfig


def read_config(path: Path) -> AnyConfig:
    """Read config.json. The variant of JinaBERT is not in it.

    Raises:
        CheckpointNotFound: no such file.
        CheckpointError: not JSON, impossible values, or another architecture.
    """
    values = read_config_file(path)
    if values.get("position_embedding_type") == ALIBI:
        return JinaBertConfig.from_dict(values)
    return ModelConfig.from_dict(values)
