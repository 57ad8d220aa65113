"""`jina-v3 bench`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from jina_v3_encoder.task import Task
    from jina_v3_encoder.text_encoder import TextEncoder

    from ..bench.report import BenchReport
    from ..bench.setting import Setting

from .options import NO_TASK, ModelChoice, as_task_name, model_options, task_option

PEER_NAMES = ("sentence-transformers", "transformers")
FORMATS = ("bfloat16", "float32", "int8")
CORPORA = ("mixed", "short", "long", "documents")
WIDTH = 104
"""Characters that the widest table takes; a narrower terminal wraps it rather than lose digits."""
_F = TypeVar("_F", bound=Callable[..., Any])


@click.group("bench")
def command() -> None:
    """Measure speed on random weights of the published model's widths.

    Sides take turns in one process on the same weights and threads; medians are shown, and times against another row
    of the table. "Of roof" is the share of this machine's matrix-product speed, measured in the same rounds, that the
    linear layers alone account for; cosines are to our vectors in float32. Machines are noisy: trust the ratios.
    """


def setting_options(function: _F) -> _F:
    """Options of every measurement of the encoder itself."""
    options = (
        click.option("--layers", type=click.IntRange(1, 24), default=4, show_default=True, help="The model has 24."),
        click.option("--vocabulary", type=click.IntRange(2000, 250_002), default=20_000, show_default=True),
        click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Measured rounds."),
        click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default="all cores"),
        click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 …"),
        click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table."),
        click.option("--plot", "plot_file", type=click.Path(path_type=Path), help="Also draw it; the suffix decides."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def corpus_option(default: str) -> Callable[[_F], _F]:
    told = "Lengths: log-normal around 120 words, 6 to 16, 380 to 500, 8,000 to 8,100."
    return click.option("--corpus", type=click.Choice(CORPORA), default=default, show_default=True, help=told)


def sides_options(function: _F) -> _F:
    options = (
        click.option(
            "--against",
            multiple=True,
            type=click.Choice(PEER_NAMES),
            help="Another library, in each format that it has; may be repeated.",
        ),
        click.option(
            "--dtype",
            "formats",
            multiple=True,
            type=click.Choice(FORMATS),
            default=FORMATS,
            show_default=True,
            help="Number formats; may be repeated.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def format_option(function: _F) -> _F:
    choices = click.Choice(FORMATS)
    return click.option("--dtype", "number_format", type=choices, default=FORMATS[0], show_default=True)(function)


@command.command("encode")
@sides_options
@corpus_option("mixed")
@click.option("--texts", type=click.IntRange(min=1), default=64, show_default=True, help="How many.")
@task_option(NO_TASK)
@setting_options
def encode(
    against: tuple[str, ...], formats: tuple[str, ...], corpus: str, texts: int, task: str, **options: Any
) -> None:
    """Throughput on a corpus, and how much of the machine's matrix-product speed is reached.

    \b
    Example:
      jina-v3 bench encode --against sentence-transformers
    """
    from ..bench.encode import bench_encode

    with _measured(options) as (setting, show):
        chosen = _task(task)
        show(bench_encode(setting, corpus=corpus, texts=texts, formats=formats, against=against, task=chosen))


@command.command("query")
@sides_options
@task_option(NO_TASK)
@setting_options
def query(against: tuple[str, ...], formats: tuple[str, ...], task: str, **options: Any) -> None:
    """The time of one text of 12 tokens.

    \b
    Example:
      jina-v3 bench query --against sentence-transformers --layers 24
    """
    from ..bench.encode import bench_query

    with _measured(options) as (setting, show):
        show(bench_query(setting, formats=formats, against=against, task=_task(task)))


@command.command("late")
@format_option
@corpus_option("documents")
@click.option("--documents", type=click.IntRange(min=1), default=3, show_default=True, help="How many.")
@setting_options
def late(number_format: str, corpus: str, documents: int, **options: Any) -> None:
    """What late chunking costs over encoding the same documents once."""
    from ..bench.costs import bench_late

    with _measured(options) as (setting, show):
        show(bench_late(setting, corpus=corpus, documents=documents, number_format=number_format))


@command.command("tasks")
@format_option
@corpus_option("mixed")
@click.option("--texts", type=click.IntRange(min=1), default=40, show_default=True, help="How many.")
@setting_options
def tasks(number_format: str, corpus: str, texts: int, **options: Any) -> None:
    """What it costs to change the adapter with each call, and to mix five in a batch."""
    from ..bench.costs import bench_tasks

    with _measured(options) as (setting, show):
        show(bench_tasks(setting, corpus=corpus, texts=texts, number_format=number_format))


@contextmanager
def _measured(options: dict[str, Any]) -> Iterator[tuple[Setting, Callable[[BenchReport], None]]]:
    """A setting with a status line, and what shows the result."""
    from rich.console import Console

    from ..bench.setting import Setting

    as_json, plot_file = options.pop("as_json"), options.pop("plot_file")
    with Console(stderr=True).status("starting") as status:
        yield Setting(announce=status.update, **options), partial(_show, as_json=as_json, plot_file=plot_file)


def _show(report: BenchReport, *, as_json: bool, plot_file: Path | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from ..bench.report import cells, plot

    if plot_file is not None:
        plot(report, plot_file)
    if as_json:
        click.echo(json.dumps(report.to_dict()))
        return
    table = Table(title=report.title, title_justify="left", box=SIMPLE_HEAD)
    header, rows = cells(report)
    for column in header:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)


def _task(name: str) -> Task | None:
    from jina_v3_encoder.task import as_task

    return as_task(as_task_name(name))


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
    choice: ModelChoice,
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

    encoder = choice.load()
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


@command.command("serve")
@click.option("--clients", type=click.IntRange(min=2), default=64, show_default=True, help="At the same time.")
@click.option("--seconds", type=click.FloatRange(min=1), default=60, show_default=True, help="Under load.")
@click.option("--attack", is_flag=True, help="The same load alone and beside clients that mean harm.")
@model_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def serve(clients: int, seconds: float, attack: bool, choice: ModelChoice, as_json: bool) -> None:
    """What a server gives under load, beside encoding the same texts offline.

    Starts `jina-v3 serve` and asks it from this process with requests of 1 to 64 texts, of five tasks and none; every
    answer is compared with the encoder's own. One of the clients asks for a short question only.

    \b
    Example:
      jina-v3 bench serve --model nano --seconds 20
      jina-v3 bench serve --model nano --clients 16 --attack
    """
    from rich.console import Console
    from rich.table import Table

    from ..bench.serve import bench_serve

    encoder = choice.load()
    if attack:
        _attack(encoder, choice, clients, seconds, as_json=as_json)
        return
    with Console(stderr=True).status("starting") as status:
        found = bench_serve(encoder, choice.arguments(), clients=clients, seconds=seconds, announce=status.update)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    title = f"{clients} clients for {seconds:g} s, model {encoder.model_id}, {found.requests:,} requests"
    table = Table("", "", title=title, title_justify="left", show_header=False)
    table.add_row("failed, wrong", f"{len(found.failed)}, {found.wrong}")
    table.add_row("offline", f"{found.offline:,.0f} tokens/s")
    table.add_row("served", f"{found.served:,.0f} tokens/s, {found.ratio:.2f} × offline")
    table.add_row("a short question alone", f"{found.lone * 1000:.1f} ms")
    table.add_row(
        "under load", f"median {found.percentile(50) * 1000:.0f} ms, p95 {found.percentile(95) * 1000:.0f} ms"
    )
    table.add_row("three alone and a batch", f"{found.bound * 1000:.0f} ms")
    if found.memory:
        first, middle, last = (found.memory[place] / 2**20 for place in (0, len(found.memory) // 2, -1))
        table.add_row("memory", f"{first:.0f} MiB, half-way {middle:.0f}, at the end {last:.0f}")
    Console().print(table)


def _attack(encoder: TextEncoder, choice: ModelChoice, clients: int, seconds: float, *, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..bench.attack import bench_attack

    with Console(stderr=True).status("starting") as status:
        found = bench_attack(encoder, choice.arguments(), clients=clients, seconds=seconds, announce=status.update)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    title = f"{clients} clients for {seconds:g} s, model {encoder.model_id}"
    table = Table("", "alone", "under attack", title=title, title_justify="left")
    sides = (found.alone, found.attacked)
    table.add_row("requests", *(f"{side.requests:,}" for side in sides))
    table.add_row("failed, wrong", *(f"{len(side.failed)}, {side.wrong}" for side in sides))
    table.add_row("a short question, median", *(f"{side.percentile(50) * 1000:.0f} ms" for side in sides))
    table.add_row("p95", *(f"{side.percentile(95) * 1000:.0f} ms" for side in sides))
    table.add_row("most memory", *(f"{max(side.memory, default=0) / 2**20:.0f} MiB" for side in sides))
    Console().print(table)
    for name, outcomes in found.attacks.items():
        click.echo(f"{name}: {', '.join(f'{outcome} {times:,} times' for outcome, times in outcomes.items())}")
