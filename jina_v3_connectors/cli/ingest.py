"""`jina-v3 ingest`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import load_encoder, model_options

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..documents import Document


@click.command("ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@click.option("--to", "store", required=True, metavar="STORE", help="qdrant:./folder, made on first use.")
@click.option("--collection", default="documents", show_default=True, help="Name of the collection in the store.")
@click.option("--dimensions", type=int, help="Stored size of a vector; default the model's own.")
@click.option(
    "--late-chunking/--no-late-chunking",
    default=None,
    help="Read each document as a whole, then pool its chunks: vectors know their context.",
)
@click.option("--chunk-tokens", type=click.IntRange(min=1), default=200, show_default=True, help="Largest chunk.")
@click.option("--window", type=int, help="Tokens read at once in late chunking; default the model's limit.")
@click.option("--overlap", type=int, help="Tokens shared by neighbouring windows; default 512.")
@model_options
def command(
    paths: tuple[Path, ...],
    store: str,
    collection: str,
    dimensions: int | None,
    late_chunking: bool | None,
    chunk_tokens: int,
    window: int | None,
    overlap: int | None,
    model: str | None,
    revision: str | None,
    device: str,
    dtype: str,
) -> None:
    r"""Chunk, encode and store files, with retrieval.passage.

    PATH is a .txt, .md or .jsonl file, or a folder of them. A .jsonl line is {"id": …, "text": …, "metadata": {…}}.
    Running it again replaces changed documents and duplicates nothing. A store that was filled by another model,
    dimension or chunking is refused.

    \b
    Example:
      jina-v3 ingest handbook/ --to qdrant:./store --dimensions 256 --late-chunking
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from ..chunking import SemanticChunker
    from ..sources import find_files
    from ..stores import open_store

    files = find_files(paths)
    console = Console(stderr=True)
    encoder = load_encoder(model, revision, device, dtype)
    settings = {"dimensions": dimensions, "late_chunking": late_chunking, "window": window, "overlap": overlap}
    chunker = SemanticChunker(encoder.tokenizer_file, chunk_tokens)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with open_store(store, encoder, collection, chunker=chunker, **settings) as connector:
        contract = connector.contract
        mode = "late chunking" if contract.late_chunking else "each chunk on its own"
        click.echo(f"model {encoder.model_id}, {contract.dimensions} dimensions, {mode}", err=True)
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
            report = connector.ingest(_documents(files, progress))
        total = connector.count()
    click.echo(
        f"stored {report.chunks} chunks of {report.documents} documents in {store} "
        f"(encoding {report.seconds_encoding:.1f} s, writing {report.seconds_writing:.1f} s); "
        f"the collection holds {total} chunks" + (f"; {report.empty} documents were empty" if report.empty else ""),
        err=True,
    )


def _documents(files: list[Path], progress: Progress) -> Iterator[Document]:
    """Documents of all files; the bar moves by bytes of finished files and by documents of the current one."""
    from ..sources import read_documents

    bar = progress.add_task("ingesting", total=sum(file.stat().st_size for file in files))
    for file in files:
        size, read = file.stat().st_size, 0
        for document in read_documents(file):
            yield document
            step = min(len(document.text.encode("utf-8", "replace")), size - read)
            read += step
            progress.update(bar, advance=step, description=f"ingesting {file.name}")
        progress.update(bar, advance=size - read)
