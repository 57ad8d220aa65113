"""`jina-v3 bench`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from jina_v3_encoder.task import Task

    from ..bench.report import BenchReport
    from ..bench.setting import Setting

from jina_v3_encoder.network.cores import granted_cores

from .options import NO_TASK, as_task_name, task_option

PEER_NAMES = ("sentence-transformers", "transformers", "onnxruntime", "openvino")
FORMATS = ("bfloat16", "float32", "int8")
CORPORA = ("mixed", "short", "long", "documents")
WIDTH = 104
"""Width of the widest table. A narrower terminal wraps it, so that no digit is lost."""
_F = TypeVar("_F", bound=Callable[..., Any])


@click.group("bench")
def command() -> None:
    """Measure speed on random weights of the published model's widths.

    Sides take turns in one process, on the same weights and threads. The table shows medians, and times against another
    row. "Of roof" compares with the linear layers alone, measured in the same rounds. Cosines are to our vectors in
    float32. Machines are noisy: trust the ratios.
    """


def setting_options(function: _F) -> _F:
    """Options of every measurement of the encoder itself."""
    options = (
        click.option("--layers", type=click.IntRange(1, 24), default=4, show_default=True, help="The model has 24."),
        click.option("--vocabulary", type=click.IntRange(2000, 250_002), default=20_000, show_default=True),
        click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Measured rounds."),
        click.option(
            "--threads", type=click.IntRange(min=1), default=granted_cores, show_default="the cores granted here"
        ),
        click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 …"),
        click.option("--busy", is_flag=True, help="Beside another process that computes on all cores."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table."),
        click.option(
            "--plot",
            "plot_file",
            type=click.Path(path_type=Path),
            help="Also draw a plot, in the format of the suffix.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def corpus_option(default: str) -> Callable[[_F], _F]:
    lengths = "Lengths: log-normal around 120 words, 6 to 16, 380 to 500, 8,000 to 8,100."
    return click.option("--corpus", type=click.Choice(CORPORA), default=default, show_default=True, help=lengths)


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
            help="Number formats; may be repeated. Default: all that the processor multiplies.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


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
    from ..bench.setting import usual_formats

    with measured(options) as (setting, show):
        sides, chosen = formats or usual_formats(setting.device), _task(task)
        show(bench_encode(setting, corpus=corpus, texts=texts, formats=sides, against=against, task=chosen))


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
    from ..bench.setting import usual_formats

    with measured(options) as (setting, show):
        sides = formats or usual_formats(setting.device)
        show(bench_query(setting, formats=sides, against=against, task=_task(task)))


@contextmanager
def measured(options: dict[str, Any]) -> Iterator[tuple[Setting, Callable[[BenchReport], None]]]:
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
