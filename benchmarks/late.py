"""What late chunking and blends cost over encoding the same documents once.

Run: python -m benchmarks.late
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from jina_v3_connectors.bench.corpus import texts_of
from jina_v3_connectors.bench.report import BenchReport
from jina_v3_connectors.bench.setting import Setting, load, random_model
from jina_v3_connectors.cli.bench import corpus_option, measured, setting_options
from jina_v3_encoder import Blend

from .command import Benchmark, format_option
from .turns import compare_with_first

TASK = "retrieval.passage"
CHUNK_CHARACTERS = 600
"""About a hundred words."""


def bench_late(setting: Setting, *, corpus: str, documents: int, number_format: str) -> BenchReport:
    """Encode documents once as wholes, once late-chunked into pieces of about a hundred words, and once blended."""
    texts = texts_of(corpus, documents)
    spans = [_spans(text) for text in texts]
    pieces = [text[start:end] for text, text_spans in zip(texts, spans, strict=True) for start, end in text_spans]
    with random_model(setting) as folder:
        encoder = load(folder, number_format, setting.device)
        sides: dict[str, Callable[[], object]] = {
            "whole documents": lambda: encoder.encode(texts, task=TASK),
            "late chunks": lambda: encoder.encode_documents(texts, spans, task=TASK),
            "chunks alone": lambda: encoder.encode(pieces, task=TASK),
            "blended chunks": lambda: encoder.encode_documents(texts, spans, task=TASK, blend=Blend()),
        }
        rows = compare_with_first(setting, sides)
        tokens = sum(encoder.count_tokens(texts, TASK))
    for row in rows:
        row.per_second = tokens / row.median
    chunks = sum(map(len, spans))
    title = (
        f"{documents} documents ({corpus}), {tokens:,} tokens, {chunks:,} chunks, {number_format}; {setting.summary()}"
    )
    return BenchReport(title, {**setting.conditions(), "tokens": tokens, "chunks": chunks}, rows)


def _spans(text: str) -> list[tuple[int, int]]:
    return [(start, min(start + CHUNK_CHARACTERS, len(text))) for start in range(0, len(text), CHUNK_CHARACTERS)]


@click.command(cls=Benchmark)
@format_option
@corpus_option("documents")
@click.option("--documents", type=click.IntRange(min=1), default=3, show_default=True, help="How many.")
@setting_options
def command(number_format: str, corpus: str, documents: int, **options: Any) -> None:
    """What late chunking and blends cost over encoding the same documents once.

    Four sides take turns on random weights of the published model's widths: every document as one vector; late-chunked
    into pieces of about a hundred words; each of these pieces alone; and both added, which reads everything twice. The
    ratio of their times is what to look at.

    \b
    Example:
      python -m benchmarks.late --documents 3
    """
    with measured(options) as (setting, show):
        show(bench_late(setting, corpus=corpus, documents=documents, number_format=number_format))


if __name__ == "__main__":
    command()
