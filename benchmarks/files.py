"""How long large and many files take to ingest, whether memory grows with them, and whether the bar tells the truth.

Run: python -m benchmarks.files
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from jina_v3_connectors.bench.corpus import mixed_texts
from jina_v3_connectors.chunking.names import DEFAULT_CHUNKER, chunker_named
from jina_v3_connectors.cli.inputs import Inputs, Meter
from jina_v3_connectors.connector import VectorConnector
from jina_v3_connectors.ingestion.report import IngestReport
from jina_v3_connectors.qdrant.embedded import EmbeddedStore
from jina_v3_connectors.qdrant.layout import QdrantLayout
from jina_v3_encoder import Encoder
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.text_encoder import TextEncoder

from .command import Benchmark

FAKE_DIMENSIONS = 256
PARAGRAPH_WORDS = 60
PARAGRAPHS_ON_A_PAGE = 6
FILE_WORDS = 150


@dataclass(frozen=True)
class Sizes:
    """Of what is written and read."""

    pages: int
    megabytes: float
    files: int


@dataclass(frozen=True)
class FilesIngested:
    """One ingest. Megabytes are the peak of the process's resident memory."""

    name: str
    documents: int
    chunks: int
    seconds: float
    seconds_at_half: float
    """When the bar stood at half."""
    largest_step: float
    """Of the bar, as a part of all."""
    megabytes_before: float
    megabytes_at_half: float
    megabytes: float


def words(count: int) -> str:
    """A text of so many words, in paragraphs."""
    written = " ".join(mixed_texts(count // 60 + 2)).split()[:count]
    parts = (written[first : first + PARAGRAPH_WORDS] for first in range(0, len(written), PARAGRAPH_WORDS))
    return "\n\n".join(" ".join(part).capitalize() + "." for part in parts)


def write_pdf(folder: Path, sizes: Sizes) -> None:
    """A book of so many pages."""
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    on_a_page = PARAGRAPH_WORDS * PARAGRAPHS_ON_A_PAGE
    paragraphs = words(sizes.pages * on_a_page).encode("latin-1", "replace").decode("latin-1").split("\n\n")
    for first in range(0, len(paragraphs), PARAGRAPHS_ON_A_PAGE):
        pdf.add_page()
        pdf.multi_cell(0, 5, "\n\n".join(paragraphs[first : first + PARAGRAPHS_ON_A_PAGE]))
    pdf.output(str(folder / "book.pdf"))


def write_page(folder: Path, sizes: Sizes) -> None:
    """A page of the web of so many megabytes."""
    text = words(10_000)
    body = "".join(f"<p>{paragraph}</p>\n" for paragraph in text.split("\n\n"))
    body = body * (int(sizes.megabytes * 1e6) // len(body.encode()) + 1)
    end = body.rfind("<p>", 0, int(sizes.megabytes * 1e6))
    page = f"<html><head><title>A page</title></head><body><main>{body[:end]}</main></body></html>"
    (folder / "page.html").write_text(page, encoding="utf-8")


def write_files(folder: Path, sizes: Sizes) -> None:
    """A folder of so many texts."""
    text = words(FILE_WORDS)
    for number in range(sizes.files):
        (folder / f"{number:05}.txt").write_text(f"Text {number}.\n\n{text}", encoding="utf-8")


CASES: dict[str, Callable[[Path, Sizes], None]] = {"pdf": write_pdf, "html": write_page, "folder": write_files}


def peak() -> float:
    """Peak resident memory of this process in megabytes; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def ingested(name: str, folder: Path, encoder: TextEncoder) -> FilesIngested:
    """Ingest a folder into a new embedded collection, as `jina-v3 ingest` does, and watch its bar."""
    inputs = Inputs((str(folder),), (), (), "text", None)
    chunker = chunker_named(DEFAULT_CHUNKER, Encoder.from_pretrained("nano", device="cpu").tokenizer_file)
    at_half: tuple[float, float] | None = None
    last = largest = 0.0
    with (
        tempfile.TemporaryDirectory() as store,
        inputs.opened() as documents,
        Progress(console=Console(quiet=True)) as progress,
        VectorConnector(
            encoder, "files", EmbeddedStore(Path(store), "files", QdrantLayout()), chunker=chunker
        ) as connector,
    ):
        bar = progress.add_task("", total=None, rate="")
        meter, before, start = Meter(progress, bar), peak(), time.perf_counter()

        def show(report: IngestReport) -> None:
            nonlocal at_half, last, largest
            meter.show(report)
            task = progress.tasks[0]
            done = task.completed / task.total if task.total else 0.0
            last, largest = done, max(largest, done - last)
            if at_half is None and done >= 0.5:
                at_half = time.perf_counter() - start, peak()

        report = connector.ingest(documents.documents(meter, lambda: None), on_progress=show)
    seconds = time.perf_counter() - start
    half_seconds, half_peak = at_half or (seconds, peak())
    return FilesIngested(
        name, report.documents, report.chunks, seconds, half_seconds, largest, before, half_peak, peak()
    )


def measured(name: str, folder: Path, model: str | None) -> FilesIngested:
    """One case, in the process that is measured. Without a model, vectors are made up."""
    encoder: TextEncoder = FakeEncoder(FAKE_DIMENSIONS) if model is None else Encoder.from_pretrained(model)
    return ingested(name, folder, encoder)


@click.command(cls=Benchmark)
@click.option("--pages", type=click.IntRange(min=1), default=300, show_default=True, help="Of the PDF.")
@click.option("--megabytes", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Of the HTML page.")
@click.option("--files", type=click.IntRange(min=1), default=2000, show_default=True, help="In the folder.")
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, help="Only this; may be repeated.")
@click.option("--model", default="nano", show_default=True, help="What encodes.")
@click.option("--fake", is_flag=True, help="Vectors are made up: what everything but encoding takes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(
    pages: int, megabytes: float, files: int, cases: tuple[str, ...], model: str, fake: bool, as_json: bool
) -> None:
    """How a large PDF, a large page and a folder of many files are ingested: seconds, memory and the bar.

    Each is read in a process of its own, so that the peak of its memory is its own.

    \b
    Example:
      python -m benchmarks.files --case pdf --pages 100 --fake
    """
    sizes = Sizes(pages, megabytes, files)
    results = []
    for name in cases or tuple(CASES):
        with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
            CASES[name](Path(folder), sizes)
            results.append(pool.apply(measured, (name, Path(folder), None if fake else model)))
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results]))
        return
    columns = ("", "chunks", "seconds", "bar at half", "step", "MB before", "at half", "at end")
    table = Table(*columns)
    for result in results:
        memory = (result.megabytes_before, result.megabytes_at_half, result.megabytes)
        table.add_row(
            result.name,
            f"{result.chunks:,}",
            f"{result.seconds:.1f}",
            f"{result.seconds_at_half:.1f} s",
            f"{result.largest_step:.1%}",
            *(f"{size:.0f}" for size in memory),
        )
    Console().print(table)


if __name__ == "__main__":
    command()
