"""`jina-v3 chunk`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .chunkers import ChunkerChoice, chunker_options
from .options import ModelChoice, encoder_options
from .terminal import json_line, printable, say

if TYPE_CHECKING:
    from ..chunking.comparison import Cutting
    from ..chunking.tokens import TokenCounter
    from ..documents import Cut, Document


@click.command("chunk")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@chunker_options()
@click.option("--compare", is_flag=True, help="A table of figures in place of the chunks.")
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --compare: a page that shows the text with the cuts of each chunker side by side.",
)
@encoder_options
def command(
    paths: tuple[Path, ...], cutting: ChunkerChoice, compare: bool, html_file: Path | None, choice: ModelChoice
) -> None:
    """Cut files and store nothing, to see which chunker suits them.

    Writes one JSON object per chunk: its document, chunker, number, start and end in characters, tokens and text. With
    --compare a table: how many chunks, percentiles of their sizes in tokens, how much of the text is in a chunk, and
    how many headings are in one chunk with the text that follows them. --chunker may name several, with commas between.

    \b
    Examples:
      jina-v3 chunk handbook.md --chunker markdown > chunks.jsonl
      jina-v3 chunk handbook/ --chunker splitter,markdown,semantic --compare --html chunks.html
    """
    from jina_v3_encoder.errors import InvalidInput

    from ..chunking.comparison import Cutting, cut_documents
    from ..chunking.tokens import counter_of
    from ..document_checks import check_document
    from ..files.folders import find_files, read_documents

    if html_file is not None and not compare:
        raise InvalidInput("--html belongs to --compare")
    files = find_files(paths)
    tokenizer_file = choice.tokenizer_file()
    counter = counter_of(tokenizer_file)
    encoder = cache(choice.text_encoder)
    chunkers = {name: cutting.build(name, tokenizer_file, encoder) for name in cutting.names}
    cuttings = {name: Cutting(name, chunker.description) for name, chunker in chunkers.items()}

    def cut() -> Iterator[tuple[Document, dict[str, Sequence[Cut]]]]:
        for document in chain.from_iterable(map(read_documents, files)):
            check_document(document)
            cuts = {}
            for name, chunker in chunkers.items():
                ((_, cuts[name]),) = cut_documents(cuttings[name], chunker, [document], counter)
            yield document, cuts

    if compare:
        _compare(cuttings, cut(), html_file)
    else:
        _write(cut(), counter)
    for chunker in chunkers.values():
        for remark in cutting.remarks(chunker):
            say(remark)


def _write(documents: Iterator[tuple[Document, dict[str, Sequence[Cut]]]], counter: TokenCounter) -> None:
    """A line of JSON for each chunk."""
    for document, cuts in documents:
        for name, chunks in cuts.items():
            for number, chunk in enumerate(chunks):
                text = document.text[chunk.start : chunk.end]
                values = {"document": document.id, "chunker": name, "chunk": number, "start": chunk.start}
                extra = {"metadata": dict(chunk.metadata)} if chunk.metadata else {}
                click.echo(json_line({**values, "end": chunk.end, "tokens": counter.count(text), "text": text} | extra))


def _compare(
    cuttings: Mapping[str, Cutting],
    documents: Iterator[tuple[Document, dict[str, Sequence[Cut]]]],
    html_file: Path | None,
) -> None:
    """Cut all documents, and show the figures. The page has the first of them whole."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..chunking.comparison_page import CAPTION, HEADER, SHOWN_CHARACTERS, comparison_page, figures

    shown: list[tuple[Document, dict[str, Sequence[Cut]]]] = []
    room, left_out = SHOWN_CHARACTERS if html_file is not None else 0, 0
    for document, cuts in documents:
        room -= len(document.text)
        if html_file is not None and (room >= 0 or not shown):
            shown.append((document, cuts))
        else:
            left_out += 1
    table = Table(caption=CAPTION, caption_justify="left")
    for column in HEADER:
        table.add_column(column, justify="left" if column == HEADER[0] else "right")
    for cutting in cuttings.values():
        table.add_row(*(escape(printable(cell)) for cell in figures(cutting)))
    Console().print(table)
    if html_file is not None:
        html_file.write_text(comparison_page(list(cuttings.values()), shown, left_out), encoding="utf-8")
        say(f"the page: {html_file}")
