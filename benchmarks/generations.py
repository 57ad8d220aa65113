"""jina-embeddings-v2 beside v3, both with random weights of their published widths: tokens, and arithmetic, a second.

Run: python -m benchmarks.generations
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from jina_v3_connectors.bench.report import BenchReport
from jina_v3_connectors.bench.setting import Setting, load
from jina_v3_connectors.cli.bench import measured, setting_options
from jina_v3_encoder import Encoder
from jina_v3_encoder.architecture import AnyConfig
from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.jina_bert_config import JinaBertConfig
from jina_v3_encoder.testing import write_random_checkpoint

from .command import Benchmark, format_option
from .turns import compare_with_first

LENGTHS = ((128, 32), (1000, 6), (8000, 1))
"""Tokens of a text, and how many texts."""


def bench_generations(setting: Setting, *, number_format: str) -> BenchReport:
    """Both models with as many layers, at three lengths. Ids are random, so nothing is tokenised."""
    with tempfile.TemporaryDirectory() as folder:
        configs: Mapping[str, AnyConfig] = {
            "v3": ModelConfig(num_hidden_layers=setting.layers, vocab_size=setting.vocabulary),
            "v2-base": JinaBertConfig(num_hidden_layers=setting.layers, vocab_size=setting.vocabulary),
        }
        encoders = {
            name: load(write_random_checkpoint(Path(folder) / name, config), number_format, setting.device)
            for name, config in configs.items()
        }
        rows = []
        for length, texts in LENGTHS:
            generator = np.random.default_rng(length)
            ids = [generator.integers(10, 1000, length) for _ in range(texts)]
            sides: dict[str, Callable[[], object]] = {
                f"{name}, {texts} × {length:,} tokens": partial(encoder.engine.id_means, ids, [None] * texts)
                for name, encoder in encoders.items()
            }
            measured_rows = compare_with_first(setting, sides)
            for row, encoder in zip(measured_rows, encoders.values(), strict=True):
                row.per_second = length * texts / row.median
                row.name += f", {row.per_second * arithmetic(encoder, length) / 1e9:,.0f} GFLOP/s"
            measured_rows[1].against = measured_rows[0].name
            rows += measured_rows
    return BenchReport(f"{number_format}; {setting.summary()}", setting.conditions(), rows)


def arithmetic(encoder: Encoder, length: int) -> float:
    """Floating-point operations for a token of a text of so many tokens: products of the blocks, and attention."""
    config = encoder.config
    size, wide = config.hidden_size, config.intermediate_size
    gated = 3 if isinstance(config, JinaBertConfig) else 2
    weights = 4 * size * size + gated * size * wide
    return float(config.num_hidden_layers * (2 * weights + 4 * length * size))


@click.command(cls=Benchmark)
@format_option
@setting_options
def command(number_format: str, **options: Any) -> None:
    """jina-embeddings-v2-base beside v3, with random weights and as many layers, at three lengths.

    \b
    Example:
      python -m benchmarks.generations --layers 4
    """
    with measured(options) as (setting, show):
        show(bench_generations(setting, number_format=number_format))


if __name__ == "__main__":
    command()
