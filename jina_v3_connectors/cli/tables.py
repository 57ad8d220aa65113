"""Hits as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from ..documents import Hit
from .terminal import printable

PASSAGE_CHARACTERS = 400


def hits_table(hits: Sequence[Hit], title: str | None = None) -> Table:
    """Rank, cosine, document and span, and the passage."""
    table = Table(title=title, title_justify="left", show_lines=True, expand=True)
    table.add_column("", justify="right")
    table.add_column("score", justify="right")
    table.add_column("source", overflow="fold", ratio=1)
    table.add_column("passage", overflow="fold", ratio=4)
    for rank, hit in enumerate(hits, 1):
        chunk = hit.chunk
        where = f"{chunk.document_id}\n{chunk.start}–{chunk.end}"
        table.add_row(str(rank), f"{hit.score:.3f}", escape(printable(where)), escape(shorten(chunk.text)))
    return table


def shorten(text: str) -> str:
    """The beginning of a passage on one line, safe for a terminal."""
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= PASSAGE_CHARACTERS else flat[: PASSAGE_CHARACTERS - 1] + "…"
