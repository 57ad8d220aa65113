"""Chunkers and ways to read their chunks, by what is found: in the whole corpus, and inside the right document.

Run: python -m training.nano.chunking DATA
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from jina_v3_connectors.chunking.names import ChunkerOptions, chunker_named
from jina_v3_connectors.documents import TextFormat
from jina_v3_connectors.evaluation.dataset import Dataset, Passage
from jina_v3_connectors.evaluation.encoding import PassageEncoder, Variant
from jina_v3_connectors.evaluation.intervals import Interval, bootstrap
from jina_v3_connectors.evaluation.ranking import measure_each, rank
from jina_v3_connectors.evaluation.recut import recut
from jina_v3_connectors.evaluation.report import about
from jina_v3_encoder import Encoder

from .textbooks import rows

LANGUAGES = ("en", "de", "es", "zh")
CHUNKERS = "splitter,lines,sentences,fixed,semantic,markdown"
BASELINE = "splitter"
QUERY, PASSAGE = "retrieval.query", "retrieval.passage"
READINGS = {"alone": Variant.ROWS, "late": Variant.LATE, "blend": Variant.BLEND}
SCOPES = {"corpus": False, "document": True}
"""Where is searched, and whether chunks of other documents are left out."""

Answers = Iterable[tuple[str, str]]
"""Questions, each with the words that answer it or ''."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """Documents and their questions; sets of one family are the same articles in several languages."""

    dataset: Dataset
    family: str
    text_format: TextFormat = "text"


@dataclass(frozen=True)
class Result:
    """nDCG@10 of each question, to four digits, with the chunks of one chunker read in one way."""

    data: str
    chunker: str
    reading: str
    chunks: int
    tokens: float
    """Of a chunk, the mean."""
    corpus: list[float]
    document: list[float]


def squad(data: Path) -> Subject:
    """Articles of paragraphs; the answer is its own words."""
    paragraphs = (
        (article["title"], paragraph) for article in rows(data, "squad_dev_eval") for paragraph in article["paras"]
    )
    dataset = _dataset(
        "SQuAD",
        (
            (title, paragraph["t"], [(qa[1], qa[2][0]) for qa in paragraph["qas"] if qa[2]])
            for title, paragraph in paragraphs
        ),
    )
    return Subject(dataset, "SQuAD")


def xquad(data: Path, language: str) -> Subject:
    """Paragraphs of one language joined to articles, with questions and answers of that language."""
    table = sorted((row for row in rows(data, "xquad_eval") if row["lang"] == language), key=lambda row: row["title"])
    dataset = _dataset(
        f"XQuAD {language}", ((row["title"], row["context"], [qa[1:3] for qa in row["qas"]]) for row in table)
    )
    return Subject(dataset, f"XQuAD, {len(LANGUAGES)} languages")


def medquad(data: Path, text_format: TextFormat) -> Subject:
    """Pages of two sections or more about one disease; the right row is the section that answers.

    In Markdown, a section has a heading that says what it is about, as the pages have that it comes from.
    """
    table = {(row["focus"], row["a"]): row for row in rows(data, "medquad_eval")}.values()
    pages = [list(page) for _, page in groupby(sorted(table, key=lambda row: row["focus"]), lambda row: row["focus"])]
    name = "MedQuAD" if text_format == "text" else "MedQuAD, Markdown"

    def section(row: Mapping[str, str]) -> str:
        return row["a"] if text_format == "text" else f"## {row['qtype'].capitalize()}\n\n{row['a']}"

    sections = ((row["focus"], section(row), [(row["q"], "")]) for page in pages if len(page) > 1 for row in page)
    return Subject(_dataset(name, sections), name, text_format)


def subjects(data: Path) -> Iterator[Subject]:
    """All of them."""
    yield squad(data)
    for language in LANGUAGES:
        yield xquad(data, language)
    yield medquad(data, "text")
    yield medquad(data, "markdown")


def _dataset(name: str, paragraphs: Iterable[tuple[str, str, Answers]]) -> Dataset:
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


def measured(encoder: Encoder, subject: Subject, name: str, most: int) -> Iterator[Result]:
    """A chunker on a set, its chunks read in each way."""
    chunker = chunker_named(name, encoder.tokenizer_file, ChunkerOptions(max_tokens=most, encoder=encoder))
    cut = recut(subject.dataset, chunker, subject.text_format)
    tokens = sum(encoder.count_tokens([passage.text for passage in cut.passages])) / len(cut.passages)
    questions = encoder.encode(list(cut.queries.values()), task=QUERY, truncate=True)
    passages = PassageEncoder(encoder, PASSAGE, chunker)
    for reading, variant in READINGS.items():
        vectors = passages.encode(cut, variant)
        figures = {}
        for scope, own_document in SCOPES.items():
            each = measure_each(
                cut.relevance, rank(cut, questions, vectors, encoder.dimensions, own_document=own_document)
            )
            figures[scope] = [round(each[query]["ndcg"], 4) for query in cut.relevance]
        yield Result(subject.dataset.name, name, reading, len(cut.passages), round(tokens, 1), **figures)


def remembered(file: Path, key: str, compute: Callable[[], Iterator[Result]]) -> list[Result]:
    """What `file` has under a key; else computed, and added to it."""
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["key"] == key:
                return [Result(**values) for values in entry["results"]]
    results = list(compute())
    with file.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps({"key": key, "results": [asdict(result) for result in results]}) + "\n")
    return results


def means(results: Sequence[Result]) -> Iterator[str]:
    """A Markdown table of nDCG@10."""
    yield from _head("data", "chunker", "chunks", "tokens")
    for (data, chunker), group in groupby(results, lambda result: (result.data, result.chunker)):
        readings = {result.reading: result for result in group}
        first = next(iter(readings.values()))
        cells = [f"{np.mean(getattr(readings[reading], scope)):.3f}" for scope in SCOPES for reading in READINGS]
        yield f"| {data} | {chunker} | {first.chunks:,} | {first.tokens:.0f} | {' | '.join(cells)} |"


def differences(results: Sequence[Result], all_subjects: Sequence[Subject], *, to_alone: bool) -> Iterator[str]:
    """A Markdown table of differences to the chunks read alone, or to `BASELINE` read in the same way.

    Documents are resampled with all their questions, in every language that they are written in.
    """
    yield from _head("data", "chunker")
    by_family: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    families = {subject.dataset.name: subject.family for subject in all_subjects}
    for result in results:
        by_family[families[result.data], result.chunker, result.reading].append(result)
    for family in dict.fromkeys(families.values()):
        documents = np.concatenate([about(each.dataset) for each in all_subjects if each.family == family])
        for chunker in dict.fromkeys(chunker for group, chunker, _ in by_family if group == family):
            if not to_alone and chunker == BASELINE:
                continue
            cells = []
            for scope in SCOPES:
                for reading in READINGS:
                    other = (chunker, "alone") if to_alone else (BASELINE, reading)
                    if (chunker, reading) == other:
                        cells.append("")
                        continue
                    sides = [_joined(by_family[family, *side], scope) for side in ((chunker, reading), other)]
                    cells.append(_cell(bootstrap((sides[0] - sides[1])[:, None], documents)[0]))
            yield f"| {family} | {chunker} | {' | '.join(cells)} |"


def _joined(results: Sequence[Result], scope: str) -> Floats:
    return np.concatenate([getattr(result, scope) for result in results])


def _cell(interval: Interval) -> str:
    """In thousandths, bold where the interval leaves 0 out."""
    mean = f"{1000 * interval.mean:+.0f}"
    shown = f"**{mean}**" if interval.low > 0 or interval.high < 0 else mean
    return f"{shown} ({1000 * interval.low:+.0f} to {1000 * interval.high:+.0f})"


def _head(*columns: str) -> Iterator[str]:
    names = [*columns, *(f"{scope}: {reading}" for scope in SCOPES for reading in READINGS)]
    yield f"| {' | '.join(names)} |"
    yield "|---" * len(names) + "|"


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--model", default="nano", show_default=True)
@click.option("--chunkers", default=CHUNKERS, show_default=True, help="markdown cuts Markdown only.")
@click.option("--chunk-tokens", default=200, show_default=True)
@click.option(
    "--results",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default="chunking.jsonl",
    show_default=True,
    help="Keeps what is measured: the same command goes on where it was ended.",
)
def command(data: Path, model: str, chunkers: str, chunk_tokens: int, file: Path) -> None:
    """nDCG@10 of each chunker, its chunks read alone, late and as a blend, with intervals over documents."""
    encoder = Encoder.from_pretrained(model)
    all_subjects = list(subjects(data))
    results: list[Result] = []
    for subject in all_subjects:
        for name in chunkers.split(","):
            if name == "markdown" and subject.text_format != "markdown":
                continue
            click.echo(f"{subject.dataset.name}, {name}", err=True)
            key = f"{encoder.fingerprint}, {subject.dataset.name}, {name}, {chunk_tokens} tokens"
            results += remembered(file, key, partial(measured, encoder, subject, name, chunk_tokens))
    for title, lines in (
        ("nDCG@10", means(results)),
        ("Minus the same chunks read alone, in thousandths", differences(results, all_subjects, to_alone=True)),
        (f"Minus {BASELINE} read in the same way, in thousandths", differences(results, all_subjects, to_alone=False)),
    ):
        click.echo(f"\n{title}\n")
        for line in lines:
            click.echo(line)


if __name__ == "__main__":
    command()
