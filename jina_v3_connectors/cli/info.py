"""`jina-v3 info`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jina_v3_encoder import Encoder
    from jina_v3_encoder.network.kernels import Chosen

from .options import ModelChoice, model_options
from .terminal import json_line, printable


@click.command("info")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@model_options
def command(as_json: bool, choice: ModelChoice) -> None:
    """Show a model: tasks, sizes, limits, scripts it cannot read, licence of the weights, device, threads, fingerprint.

    On the CPU also which of several ways to compute were taken (kernels), and the times that decided it. The trial is
    made once on a machine; $JINA_V3_KERNELS tells instead, for example product=packed,attention=tiles.
    """
    values = describe(choice.load())
    if as_json:
        click.echo(json_line(values))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False)
    for name, value in values.items():
        table.add_row(
            name.replace("_", " "),
            escape(printable("\n".join(map(str, value) if isinstance(value, list) else [str(value)]))),
        )
    Console().print(table)


def describe(encoder: Encoder) -> dict[str, Any]:
    config = encoder.config
    return {
        "model": encoder.model_id,
        "revision": encoder.revision,
        "licence": encoder.licence,
        "fingerprint": encoder.fingerprint,
        "tasks": [f"{task}: {config.prompts.get(task) or 'no prompt'}" for task in config.tasks] or "none",
        "dimensions": encoder.dimensions,
        "matryoshka_dimensions": ", ".join(map(str, config.matryoshka_dimensions)),
        "max_tokens": encoder.max_tokens,
        "late_chunking_window": encoder.info.window_size(None, None).tokens,
        "layers": config.num_hidden_layers,
        "vocabulary": config.vocab_size,
        "scripts_not_read": ", ".join(encoder.engine.tokenizer.unread_scripts()) or "none of those that are tried",
        "device": str(encoder.device),
        "dtype": str(encoder.dtype).removeprefix("torch."),
        "threads": encoder.threads,
        "batch_tokens": encoder.max_batch_tokens,
        **_kernels(encoder.engine.chosen),
    }


def _kernels(chosen: Chosen | None) -> dict[str, Any]:
    """Which ways of computing are used, and the times that decided it."""
    if chosen is None:
        return {}
    times = {
        choice: ", ".join(f"{way} {milliseconds:.2f} ms" for way, milliseconds in ways.items())
        for choice, ways in chosen.times.items()
    }
    return {
        "kernels": f"{chosen.kernels} ({chosen.reason})",
        "kernel_times": [f"{choice}: {ways}" for choice, ways in times.items()],
    }
