"""What it costs to change the adapter with each call, and to mix five tasks in a batch.

Run: python -m benchmarks.tasks
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from jina_v3_connectors.bench.corpus import texts_of
from jina_v3_connectors.bench.report import BenchReport
from jina_v3_connectors.bench.setting import Setting, load, random_model
from jina_v3_connectors.cli.bench import corpus_option, measured, setting_options
from jina_v3_encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES

from .command import Benchmark, format_option
from .turns import compare_with_first

TASK = "retrieval.passage"
TEXTS_PER_CALL = 4


def bench_tasks(setting: Setting, *, corpus: str, texts: int, number_format: str) -> BenchReport:
    """One task throughout, another with each call, and five in one batch. Without prompts: like with like."""
    corpus_texts = texts_of(corpus, texts)
    mixed = [TASK_NAMES[index % len(TASK_NAMES)] for index in range(texts)]
    parts = [slice(start, start + TEXTS_PER_CALL) for start in range(0, texts, TEXTS_PER_CALL)]
    with random_model(setting) as folder:
        encoder = load(folder, number_format, setting.device)
        one, many = [TASK] * len(parts), [TASK_NAMES[number % len(TASK_NAMES)] for number in range(len(parts))]
        sides: dict[str, Callable[[], object]] = {
            "one task, a batch": lambda: encoder.encode(corpus_texts, task=TASK, prompt=False),
            "five tasks in the batch": lambda: encoder.encode(corpus_texts, task=mixed, prompt=False),
            f"one task, {TEXTS_PER_CALL} texts a call": lambda: _calls(encoder, corpus_texts, parts, one),
            "another task with each call": lambda: _calls(encoder, corpus_texts, parts, many),
            "no adapter, a batch": lambda: encoder.encode(corpus_texts, task=None),
        }
        rows = compare_with_first(setting, sides)
        tokens = sum(encoder.count_tokens(corpus_texts))
    rows[3].compare(rows[2])
    rows[2].against, rows[2].ratios = None, []
    for row in rows:
        row.per_second = tokens / row.median
    title = f"{texts} texts ({corpus}), {tokens:,} tokens, {number_format}; {setting.summary()}"
    return BenchReport(title, {**setting.conditions(), "tokens": tokens}, rows)


def _calls(encoder: Encoder, texts: Sequence[str], parts: Sequence[slice], tasks: Sequence[str]) -> None:
    for part, task in zip(parts, tasks, strict=True):
        encoder.encode(texts[part], task=task, prompt=False)


@click.command(cls=Benchmark)
@format_option
@corpus_option("mixed")
@click.option("--texts", type=click.IntRange(min=1), default=40, show_default=True, help="How many.")
@setting_options
def command(number_format: str, corpus: str, texts: int, **options: Any) -> None:
    """What it costs to change the adapter with each call, and to mix five tasks in a batch.

    Five sides take turns on random weights of the published model's widths: one task in one batch, five tasks in one
    batch, one task in calls of four texts, another task with each such call, and no adapter at all.

    \b
    Example:
      python -m benchmarks.tasks --texts 40
    """
    with measured(options) as (setting, show):
        show(bench_tasks(setting, corpus=corpus, texts=texts, number_format=number_format))


if __name__ == "__main__":
    command()
