"""`jina-v3 migrate doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .migrate_options import SourceChoice, html_option, named_encoder, progress_bars, source_options
from .options import ModelChoice
from .terminal import json_line, printable

if TYPE_CHECKING:
    from rich.table import Table

    from ..migration.findings import Diagnosis

SEVERITIES = ("error", "warning")
COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


@click.command("doctor")
@source_options
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A model that may have made the vectors: a folder, a hub id, nano, or the URL of a server of vectors. It "
    "encodes a sample again, with each of its tasks. May be repeated.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Records to look at.  [default: all]")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="End with status 1 if something this bad was found.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@html_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--dtype", default="auto", show_default=True, help="auto, float32, bfloat16 or float16.")
@click.option("--threads", type=click.IntRange(min=1), help="Computing threads on the CPU.  [default: all granted]")
def command(
    source: SourceChoice,
    models: tuple[str, ...],
    limit: int | None,
    fail_on: str | None,
    as_json: bool,
    html_file: Path | None,
    device: str,
    dtype: str,
    threads: int | None,
) -> None:
    """Look at a collection before you move it; nothing is changed.

    One pass over all records looks for vectors that are missing, zero, NaN or of several sizes and lengths; one vector
    for different texts; the same text twice; texts that are missing or past a model's limit; records of several
    models; and documents whose chunks are missing, repeated or out of order.

    With --model it also tells whose vectors these are: a sample is encoded again, by each model in each of its tasks,
    and compared with what is stored. Neither JSON nor the page holds a text or a vector.

    \b
    Example:
      jina-v3 migrate doctor --from qdrant+http://host:6333 --collection articles --text-field body \\
        --model jinaai/jina-embeddings-v2-base-en --fail-on error --html articles.html
    """
    from rich.console import Console

    from ..migration.diagnosis_page import diagnosis_page
    from ..migration.doctor import diagnose
    from ..migration.findings import Severity

    choice = ModelChoice(None, None, device, dtype, None, threads)
    encoders = [named_encoder(model, choice) for model in models]
    with closing(source.open()) as opened, progress_bars(Console(stderr=True)) as advance:
        diagnosis = diagnose(opened, source.name, encoders=encoders, limit=limit, advance=advance)
    if html_file is not None:
        html_file.write_text(diagnosis_page(diagnosis), encoding="utf-8")
    if as_json:
        click.echo(json_line(diagnosis.to_dict()))
    else:
        console = Console()
        for part in _shown(diagnosis):
            console.print(part)
    if fail_on is not None and diagnosis.worst is not None and diagnosis.worst.rank <= Severity(fail_on).rank:
        raise SystemExit(1)


def _shown(diagnosis: Diagnosis) -> Iterator[Table | str]:
    """Lines and a table for people."""
    from rich.markup import escape
    from rich.table import Table

    model = f", filled by {diagnosis.model}" if diagnosis.model else ""
    size = f"vectors of {diagnosis.dimensions} dimensions" if diagnosis.dimensions else "no vectors"
    documents = f" of {diagnosis.documents:,} documents" if diagnosis.documents else ""
    head = f"{diagnosis.collection}: {diagnosis.records:,} records{documents}, {size}, layout {diagnosis.layout}{model}"
    yield escape(printable(head))
    for sample in diagnosis.samples:
        yield escape(printable(str(sample)))
    if not diagnosis.findings:
        yield "nothing odd was found"
        return
    table = Table(show_lines=True, expand=True)
    table.add_column("")
    table.add_column("what was found", overflow="fold", ratio=3)
    table.add_column("what to do", overflow="fold", ratio=3)
    for finding in diagnosis.findings:
        examples = f"\nsuch as {', '.join(finding.examples)}" if finding.examples else ""
        table.add_row(
            f"[{COLOURS[finding.severity]}]{finding.severity}[/]",
            escape(printable(finding.what + examples)),
            escape(printable(finding.remedy)),
        )
    yield table
