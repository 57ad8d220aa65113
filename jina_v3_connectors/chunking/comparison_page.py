"""Chunkers beside each other, as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from ..documents import Cut, Document
from ..pages import Content, Markup, element, page, table
from .comparison import PERCENTILES, Cutting

SHOWN_CHARACTERS = 200_000
"""A browser draws so much at once. The table counts everything."""
STYLE = """
body { max-width: none; }
.cuttings { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(20rem, 1fr); gap: 1rem; overflow-x: auto;
  align-items: start; }
.chunk { margin: 0 0 0.5rem; padding: 0.4rem 0.6rem; border: 1px solid var(--line); border-left: 4px solid var(--new);
  background: var(--card); white-space: pre-wrap; font-size: 0.875rem; }
.chunk:nth-of-type(odd) { border-left-color: var(--old); }
.chunk small { display: block; color: var(--soft); }
"""
HEADER = (
    "chunker",
    "chunks",
    *(f"{percentile} %" for percentile in PERCENTILES),
    "max",
    "coverage",
    "headings",
    "MB/s",
)

CAPTION = "Percentiles of tokens in a chunk; text that is in a chunk; headings in one chunk with the text after them"


def figures(cutting: Cutting) -> tuple[str, ...]:
    """The line of a chunker in a table with `HEADER`. Sizes are tokens."""
    kept = f"{cutting.kept_headings}/{cutting.headings}"
    speed = cutting.bytes / cutting.seconds / 1e6 if cutting.seconds else 0.0
    return (
        cutting.name,
        f"{len(cutting.sizes):,}",
        *(f"{size:,}" for size in cutting.percentiles),
        f"{max(cutting.sizes, default=0):,}",
        f"{math.floor(1000 * cutting.coverage) / 10:g} %",
        kept,
        f"{speed:,.1f}",
    )


def comparison_page(
    cuttings: Sequence[Cutting], shown: Sequence[tuple[Document, Mapping[str, Sequence[Cut]]]], left_out: int
) -> str:
    """One page that stands alone.

    Args:
        cuttings: The figures of each chunker.
        shown: Documents that are shown whole, with the cuts of each chunker by its name.
        left_out: How many more documents were cut.
    """
    return page(
        "Chunkers compared",
        table(HEADER, map(figures, cuttings), caption=CAPTION),
        element("ul", (_description(cutting) for cutting in cuttings)),
        element("p", f"{left_out:,} more documents were cut, and are not shown.", class_="soft") if left_out else None,
        *(part for document, cuts in shown for part in _document(document, cuts)),
        made_by="jina-v3 chunk",
        style=STYLE,
    )


def _description(cutting: Cutting) -> Markup:
    return element("li", element("strong", cutting.name), ": ", cutting.description)


def _document(document: Document, cuts: Mapping[str, Sequence[Cut]]) -> Iterator[Content]:
    yield element("h2", document.id)
    yield element(
        "div",
        (_column(document.text, name, chunker_cuts) for name, chunker_cuts in cuts.items()),
        class_="cuttings",
        tabindex="0",
        role="region",
        aria_label=document.id,
    )


def _column(text: str, name: str, cuts: Sequence[Cut]) -> Markup:
    chunks = (
        element(
            "div",
            element("small", f"{number} · characters {cut.start:,} to {cut.end:,}{_said(cut)}"),
            text[cut.start : cut.end],
            class_="chunk",
        )
        for number, cut in enumerate(cuts)
    )
    return element("div", element("h3", f"{name}: {len(cuts):,} chunks"), chunks)


def _said(cut: Cut) -> str:
    """The metadata of a chunk, such as its summary."""
    return "".join(f" · {name}: {value}" for name, value in cut.metadata.items())
