"""A server under load, and under attack, beside encoding the same texts offline.

Run: python -m benchmarks.serve
"""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from jina_v3_connectors.cli.options import ModelChoice, model_options

from .attack import AttackBench, bench_attack
from .command import Benchmark
from .load import ServeBench, bench_serve


@click.command(cls=Benchmark)
@click.option("--clients", type=click.IntRange(min=2), default=64, show_default=True, help="At the same time.")
@click.option("--seconds", type=click.FloatRange(min=1), default=60, show_default=True, help="Under load.")
@click.option("--attack", is_flag=True, help="The same load alone and beside clients that mean harm.")
@model_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(clients: int, seconds: float, attack: bool, choice: ModelChoice, as_json: bool) -> None:
    """What a server gives under load, beside encoding the same texts offline.

    Starts `jina-v3 serve` and asks it from this process with requests of 1 to 64 texts, of five tasks and none. Every
    answer is compared with the encoder's own. One of the clients asks for a short question only.

    The clients share the machine with the server: trust the ratios, and look at "failed, wrong" first.

    \b
    Example:
      python -m benchmarks.serve --model nano --seconds 20
      python -m benchmarks.serve --model nano --clients 16 --attack
    """
    encoder = choice.load()
    title = f"{clients} clients for {seconds:g} s, model {encoder.model_id}"
    result: ServeBench | AttackBench
    with Console(stderr=True).status("starting") as status:
        measure = bench_attack if attack else bench_serve
        result = measure(encoder, choice.arguments(), clients=clients, seconds=seconds, announce=status.update)
    if as_json:
        click.echo(json.dumps(result.to_dict()))
    elif isinstance(result, AttackBench):
        _show_attack(result, title)
    else:
        _show(result, title)


def _show(result: ServeBench, title: str) -> None:
    table = Table("", "", title=f"{title}, {result.requests:,} requests", title_justify="left", show_header=False)
    table.add_row("failed, wrong", f"{len(result.failed)}, {result.wrong}")
    table.add_row("offline", f"{result.offline:,.0f} tokens/s")
    table.add_row("served", f"{result.served:,.0f} tokens/s, {result.ratio:.2f} × offline")
    table.add_row("a short question alone", f"{result.lone * 1000:.1f} ms")
    median, slowest = (result.percentile(percent) * 1000 for percent in (50, 95))
    table.add_row("under load", f"median {median:.0f} ms, p95 {slowest:.0f} ms")
    table.add_row("three alone and a batch", f"{result.bound * 1000:.0f} ms")
    if result.memory:
        first, middle, last = (result.memory[second] / 2**20 for second in (0, len(result.memory) // 2, -1))
        table.add_row("memory", f"{first:.0f} MiB, half-way {middle:.0f}, at the end {last:.0f}")
    Console().print(table)


def _show_attack(result: AttackBench, title: str) -> None:
    table = Table("", "alone", "under attack", title=title, title_justify="left")
    sides = (result.alone, result.attacked)
    table.add_row("requests", *(f"{side.requests:,}" for side in sides))
    table.add_row("failed, wrong", *(f"{len(side.failed)}, {side.wrong}" for side in sides))
    table.add_row("a short question, median", *(f"{side.percentile(50) * 1000:.0f} ms" for side in sides))
    table.add_row("p95", *(f"{side.percentile(95) * 1000:.0f} ms" for side in sides))
    table.add_row("most memory", *(f"{max(side.memory, default=0) / 2**20:.0f} MiB" for side in sides))
    Console().print(table)
    for name, outcomes in result.attacks.items():
        click.echo(f"{name}: {', '.join(f'{outcome} {times:,} times' for outcome, times in outcomes.items())}")


if __name__ == "__main__":
    command()
