"""`jina-v3 bench`."""

from __future__ import annotations

import json
import os
from statistics import median

import click

from .options import NO_TASK, as_task_name, load_encoder, model_options, task_option

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
    """Throughput on texts of mixed lengths.

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


@command.command("ingest")
@click.option("--documents", type=click.IntRange(min=1), default=2000, show_default=True, help="Of mixed lengths.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Measured rounds.")
@click.option(
    "--memory-chunks", type=click.IntRange(min=0), default=100_000, show_default=True, help="0 leaves it out."
)
@model_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def ingest(
    documents: int,
    runs: int,
    memory_chunks: int,
    model: str | None,
    revision: str | None,
    device: str,
    dtype: str,
    as_json: bool,
) -> None:
    """What storing costs on top of encoding.

    Ingests into an embedded collection, and into one that writes as slowly as the encoder encodes; then measures how
    much memory a long ingest takes.

    \b
    Example:
      jina-v3 bench ingest --model nano
    """
    from rich.console import Console
    from rich.table import Table

    from ..bench.ingest import bench_ingest

    encoder = load_encoder(model, revision, device, dtype)
    with Console(stderr=True).status("starting") as status:
        result = bench_ingest(
            encoder, documents=documents, runs=runs, memory_chunks=memory_chunks, announce=status.update
        )
    if as_json:
        click.echo(json.dumps(result.to_dict()))
        return
    table = Table(title=f"{documents} documents, model {encoder.model_id}, medians of {runs}", title_justify="left")
    for column in ("", "seconds", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("encoding alone", f"{median(result.alone):.2f}", "")
    table.add_row("ingest, fast store", f"{median(result.fast):.2f}", f"{1 + result.overhead:.3f} × encoding alone")
    table.add_row(
        "ingest, store as slow as the encoder",
        f"{median(result.slow):.2f}",
        f"{result.overlap:.3f} × the slower of encoding and writing",
    )
    Console().print(table)
    if memory_chunks:
        grown = result.memory_growth / 2**20
        Console().print(f"{memory_chunks:,} chunks with a fake encoder: peak memory grew by {grown:.0f} MiB")
