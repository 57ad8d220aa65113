"""`jina-v3 bench`."""

from __future__ import annotations

import json
import os

import click

from .options import NO_TASK, as_task_name, task_option

PEER_NAMES = ("sentence-transformers",)


@click.group("bench")
def command() -> None:
    """Measure speed on random weights of the published model's widths.

    Sides take turns in one process on the same weights and threads; medians and ratios are shown. Machines are noisy:
    trust the ratios.
    """


@command.command("encode")
@click.option("--against", multiple=True, type=click.Choice(PEER_NAMES), help="Another library; may be repeated.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    multiple=True,
    default=["float32", "bfloat16"],
    show_default=True,
)
@click.option("--layers", type=click.IntRange(1, 24), default=4, show_default=True, help="The model has 24.")
@click.option("--vocabulary", type=click.IntRange(2000, 250_002), default=20_000, show_default=True)
@click.option("--texts", type=click.IntRange(min=1), default=64, show_default=True, help="Texts of mixed lengths.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Measured rounds.")
@click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default="all cores")
@task_option(NO_TASK)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per dtype.")
def encode(
    against: tuple[str, ...],
    dtype: tuple[str, ...],
    layers: int,
    vocabulary: int,
    texts: int,
    runs: int,
    threads: int,
    task: str,
    as_json: bool,
) -> None:
    r"""Throughput on texts of mixed lengths.

    \b
    Example:
      jina-v3 bench encode --against sentence-transformers
    """
    from rich.console import Console
    from rich.table import Table

    from jina_v3_encoder.task import as_task

    from ..bench.encode import bench_encode

    console = Console(stderr=True)
    for number_format in dtype:
        with console.status("starting") as status:
            report = bench_encode(
                against=against,
                dtype=number_format,
                layers=layers,
                vocabulary=vocabulary,
                texts=texts,
                runs=runs,
                threads=threads,
                task=as_task(as_task_name(task)),
                announce=status.update,
            )
        if as_json:
            click.echo(json.dumps(report.to_dict()))
            continue
        title = f"{number_format}, {report.texts} texts, {report.tokens} tokens, {layers} layers, {threads} threads"
        table = Table(title=f"{title}, task {report.task or NO_TASK}", title_justify="left")
        for column in ("", "seconds", "tokens/s", "we are faster by", "smallest cosine to float32"):
            table.add_column(column, justify="right" if column else "left")
        for side in report.sides:
            ratio = report.ratios.get(side.name)
            speed = f"{report.tokens_per_second(side):,.0f}"
            shown = f"{ratio:.2f} ×" if ratio else ""
            table.add_row(side.name, f"{side.median:.2f}", speed, shown, f"{side.cosine:.5f}")
        Console().print(table)
