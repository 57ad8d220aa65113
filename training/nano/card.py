"""Writes measured figures into the model card: `python -m training.nano.card --help`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from jina_v3_encoder.task import TASK_NAMES

START, END = "<!-- figures -->", "<!-- end of figures -->"
TASK_SETS = (
    "xquad-en-en with {}, nDCG@10",
    "squad-paragraphs with {}, nDCG@10",
    "medquad with {}, nDCG@10",
    "STS-B en with {}",
    "Banking77 with {}",
    "trivia clusters with {}",
)
CHUNKS = ("squad-chunks", "late −", "blend −")
"""How the figures of chunks begin."""
Figures = Mapping[str, float]


@click.command()
@click.argument("nano", type=click.Path(path_type=Path, exists=True))
@click.option("--minilm", type=click.Path(path_type=Path, exists=True), help="The same figures of the teacher.")
@click.option("--bm25", type=click.Path(path_type=Path, exists=True), help="Retrieval figures of BM25.")
@click.option(
    "--card", type=click.Path(path_type=Path, exists=True), required=True, help="README.md beside the weights."
)
def main(nano: Path, minilm: Path | None, bm25: Path | None, card: Path) -> None:
    """Put the tables of NANO, a file that `evaluate --json` wrote, between the card's two marks."""
    others = {name: _read(path) for name, path in (("MiniLM", minilm), ("BM25", bm25)) if path}
    text = card.read_text(encoding="utf-8")
    tables = "\n".join(tables_of(_read(nano), others))
    card_text, count = re.subn(f"{START}.*{END}", lambda _: f"{START}\n{tables}\n{END}", text, flags=re.DOTALL)
    if count != 1:
        raise click.ClickException(f"{card} must hold {START} and {END} once")
    card.write_text(card_text, encoding="utf-8")


def _read(path: Path) -> dict[str, float]:
    figures: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def tables_of(nano: Figures, others: Mapping[str, Figures]) -> Iterator[str]:
    """Markdown lines of all tables."""
    plain = {name: value for name, value in nano.items() if not _apart(name)}
    full = plain.get("xquad-en-en, nDCG@10, 384 dimensions", 0.0)
    yield f"| measure | nano | {' | '.join(others)} |" if others else "| measure | nano |"
    yield "|---" * (2 + len(others)) + "|"
    for name, value in plain.items():
        cells = [_other(figures, name) for figures in others.values()]
        kept = f" ({value / full:.0%})" if name.startswith("xquad-en-en") and full else ""
        yield f"| {' | '.join([name, f'{value:.3f}{kept}', *cells])} |"
    yield from _tasks(nano)
    yield from _rest("late chunking of SQuAD articles in chunks of at most 40 words", nano, CHUNKS)
    yield from _rest("pass keys: best of 100 documents, each one vector", nano, ("passkey",))


def _other(figures: Figures, name: str) -> str:
    figure = figures.get(
        name, figures.get(f"BM25 {name.split(', ')[0]}, nDCG@10") if name.endswith("384 dimensions") else None
    )
    return "" if figure is None else f"{figure:.3f}"


def _apart(name: str) -> bool:
    return " with " in name or name.startswith((*CHUNKS, "passkey"))


def _tasks(nano: Figures) -> Iterator[str]:
    rows = ["retrieval pair", *TASK_NAMES, "None"]
    if not any(pattern.format("None") in nano for pattern in TASK_SETS):
        return
    names = [pattern.split(" with ")[0] for pattern in TASK_SETS]
    yield ""
    yield f"| read with | {' | '.join(names)} |"
    yield "|---" * (1 + len(names)) + "|"
    for task in rows:
        values = [nano.get(pattern.format(task)) for pattern in TASK_SETS]
        cells = ["" if value is None else f"{value:.3f}" for value in values]
        yield f"| {' | '.join([task.replace('None', 'no adapter'), *cells])} |"


def _rest(title: str, nano: Figures, starts: tuple[str, ...]) -> Iterator[str]:
    shown = {name: value for name, value in nano.items() if name.startswith(starts)}
    if shown:
        yield ""
        yield f"| {title} | |"
        yield "|---|---|"
        yield from (f"| {name} | {value:.3f} |" for name, value in shown.items())


if __name__ == "__main__":
    main()
