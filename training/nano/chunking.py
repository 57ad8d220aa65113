"""Chunkers by what is found with them: in the whole corpus, and inside the right document.

Run: python -m training.nano.chunking DATA
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click

from jina_v3_connectors.chunking.names import ChunkerOptions, chunker_named
from jina_v3_connectors.evaluation.dataset import Dataset, Passage
from jina_v3_connectors.evaluation.encoding import PassageEncoder, Variant
from jina_v3_connectors.evaluation.recut import recut
from jina_v3_connectors.evaluation.report import evaluate
from jina_v3_encoder import Encoder

from .textbooks import rows

LANGUAGES = ("en", "de", "es", "zh")
CHUNKERS = "splitter,lines,sentences,fixed,markdown,semantic"
TASK = "retrieval.passage"
READINGS = {Variant.ROWS: "alone", Variant.LATE: "late"}


def squad(data: Path, documents: int) -> Dataset:
    """Articles of paragraphs; the answer is its own words."""
    articles = list(rows(data, "squad_dev_eval"))[:documents]
    return _dataset(
        "SQuAD articles",
        (
            (article["title"], paragraph["t"], [(qa[1], qa[2][0]) for qa in paragraph["qas"] if qa[2]])
            for article in articles
            for paragraph in article["paras"]
        ),
    )


def xquad(data: Path, language: str, documents: int) -> Dataset:
    """Paragraphs of one language joined to articles, with questions of that language."""
    table = [row for row in rows(data, "xquad_eval") if row["lang"] == language]
    titles = list(dict.fromkeys(row["title"] for row in table))[:documents]
    table = sorted((row for row in table if row["title"] in titles), key=lambda row: titles.index(row["title"]))
    return _dataset(
        f"XQuAD {language}", ((row["title"], row["context"], [(qa[1], "") for qa in row["qas"]]) for row in table)
    )


def medquad(data: Path, documents: int) -> Dataset:
    """Pages about one disease; the right row is the section that answers."""
    table = list({(row["focus"], row["a"]): row for row in rows(data, "medquad_eval")}.values())
    pages = [list(page) for _, page in groupby(sorted(table, key=lambda row: row["focus"]), lambda row: row["focus"])]
    pages = pages[: documents * 4]
    return _dataset("MedQuAD pages", ((row["focus"], row["a"], [(row["q"], "")]) for page in pages for row in page))


def _dataset(name: str, paragraphs: Iterator[tuple[str, str, list[tuple[str, str]]]]) -> Dataset:
    """(title, text, questions with their answers) of each paragraph."""
    passages: list[Passage] = []
    data = Dataset(name, passages, {}, {})
    for title, text, questions in paragraphs:
        passages.append(Passage(f"p{len(passages)}", text, title))
        for question, answer in questions:
            query = f"q{len(data.queries)}"
            data.queries[query] = question
            data.relevance[query] = {passages[-1].id: 1}
            if answer:
                data.answers[query] = answer
    return data


def lines(encoder: Encoder, datasets: Iterator[Dataset], chunkers: list[str], most: int) -> Iterator[str]:
    """A Markdown table."""
    yield "| data | chunker | chunks | tokens | reading | in the corpus | in its document |"
    yield "|---|---|---|---|---|---|---|"
    for dataset in datasets:
        for name in chunkers:
            chunker = chunker_named(name, encoder.tokenizer_file, ChunkerOptions(max_tokens=most, encoder=encoder))
            cut = recut(dataset, chunker)
            tokens = sum(encoder.count_tokens([passage.text for passage in cut.passages])) / len(cut.passages)
            report = evaluate(
                cut,
                PassageEncoder(encoder, TASK, chunker),
                variants=list(READINGS),
                dimensions=[encoder.dimensions],
            )
            for figures in report.figures:
                reading = READINGS[figures.variant]
                cells = [dataset.name, name, f"{len(cut.passages):,}", f"{tokens:.0f}", reading, f"{figures.ndcg:.3f}"]
                yield f"| {' | '.join(cells)} | {figures.inside:.3f} |"


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--model", default="nano", show_default=True)
@click.option("--chunkers", default=CHUNKERS, show_default=True)
@click.option("--chunk-tokens", default=200, show_default=True)
@click.option("--documents", default=24, show_default=True, help="Articles of each set, and four times the pages.")
def command(data: Path, model: str, chunkers: str, chunk_tokens: int, documents: int) -> None:
    """nDCG@10 of each chunker, chunks read alone and inside their document."""
    encoder = Encoder.from_pretrained(model)

    def datasets() -> Iterator[Dataset]:
        yield squad(data, documents)
        for language in LANGUAGES:
            yield xquad(data, language, documents)
        yield medquad(data, documents)

    for line in lines(encoder, datasets(), chunkers.split(","), chunk_tokens):
        click.echo(line)


if __name__ == "__main__":
    command()
