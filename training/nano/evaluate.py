"""Figures of the model card: `python -m training.nano.evaluate --data EVAL`. Training never reads this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.evaluation.encoding import PassageEncoder, Variant
from jina_v3_connectors.evaluation.ranking import measure, rank
from jina_v3_connectors.evaluation.report import evaluate
from jina_v3_encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES

from .baselines import MiniLM, bm25
from .eval_sets import (
    SQUAD_QUESTIONS,
    Half,
    half_of,
    medquad,
    passkey,
    retrieval_sets,
    squad_chunks,
    squad_paragraphs,
    write_folder,
    xquad,
)
from .measures import Encodes, clusters, ndcg, probe, similarity, translation

SIZES = (384, 256, 128, 64, 32)
LANGUAGES = ("de", "fr", "es", "nl", "it", "pt", "ru", "zh", "ja")
PASSKEY_WORDS = (170, 340, 680, 1360, 2720, 5440)
"""Words that make about 256, 512 … 8192 tokens of nano."""
Measures = Iterator[tuple[str, float]]


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of *.jsonl.gz files.")
@click.option("--model", default="nano", show_default=True, help="nano, a folder, or MiniLM for the teacher itself.")
@click.option("--part", multiple=True, type=click.Choice(["retrieval", "other", "tasks", "late", "passkey", "bm25"]))
@click.option(
    "--half", type=click.Choice(["choose", "report"]), help="Retrieval by the questions of half the documents."
)
@click.option("--export", type=click.Path(path_type=Path), help="Also write the sets as folders for jina-v3 eval.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Also write the figures there.")
def main(
    data: Path, model: str, part: tuple[str, ...], half: Half | None, export: Path | None, json_file: Path | None
) -> None:
    """Print figures one per line, of all parts or those named by --part.

    Choose between variants by --half choose, and report what was chosen by --half report.
    """
    if export is not None:
        for dataset in (*retrieval_sets(data), squad_chunks(data)):
            write_folder(dataset, export)
    figures: dict[str, float] = {}
    for name, value in _measures(model, data, part or ("retrieval", "other", "tasks", "late", "passkey"), half):
        figures[name] = value
        click.echo(f"{name:60} {value:.3f}")
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _measures(model: str, data: Path, parts: tuple[str, ...], half: Half | None) -> Measures:
    if "bm25" in parts:
        for dataset in retrieval_sets(data):
            yield f"BM25 {dataset.name}, nDCG@10", bm25(dataset)
        return
    encoder: Encodes = MiniLM() if model == "MiniLM" else Encoder.from_pretrained(model)
    if "retrieval" in parts:
        yield from retrieval(encoder, data, half)
    if "other" in parts:
        yield from others(encoder, data)
    if not isinstance(encoder, Encoder):
        return
    if "tasks" in parts:
        yield from each_task(encoder, data)
    if "late" in parts:
        yield from late(encoder, data, half)
    if "passkey" in parts:
        yield from pass_keys(encoder, data)


def retrieval(encoder: Encodes, data: Path, half: Half | None = None) -> Measures:
    """Each passage one vector; XQuAD en at every size."""
    for dataset in retrieval_sets(data):
        sizes = SIZES if dataset.name == "xquad-en-en" else SIZES[:1]
        for size, value in zip(sizes, ndcg(encoder, half_of(dataset, half), sizes), strict=True):
            yield f"{dataset.name}, nDCG@10, {size} dimensions", value


def others(encoder: Encodes, data: Path) -> Measures:
    for language in ("en", "de", "fr", "es", "zh"):
        yield f"STS-B {language}, Spearman", similarity(encoder, data, language, "text-matching")
    for language in LANGUAGES:
        yield f"Tatoeba {language} to en, accuracy", translation(encoder, data, language)
    yield "Banking77 probe, accuracy", probe(encoder, data, "classification")
    yield "trivia clusters, v-measure", clusters(encoder, data, "separation")


def each_task(encoder: Encoder, data: Path) -> Measures:
    """Every adapter, and none, on every adapter's own ground."""
    sets = (xquad(data, "en", "en"), squad_paragraphs(data), medquad(data))
    pairs = [(task, task) for task in (*TASK_NAMES, None)]
    for query_task, passage_task in [("retrieval.query", "retrieval.passage"), *pairs]:
        name = "retrieval pair" if query_task != passage_task else str(query_task)
        for dataset in sets:
            yield f"{dataset.name} with {name}, nDCG@10", ndcg(encoder, dataset, tasks=(query_task, passage_task))[0]
    for task in (*TASK_NAMES, None):
        yield f"STS-B en with {task}", similarity(encoder, data, "en", task)
        yield f"Banking77 with {task}", probe(encoder, data, task)
        yield f"trivia clusters with {task}", clusters(encoder, data, task)


def late(encoder: Encoder, data: Path, half: Half | None = None) -> Measures:
    """Chunks of articles alone, read together, and both added: among all, and among those of the right article.

    Read together are the model's own windows, as in training and in blends; and, apart, whole articles. Of a half,
    all questions are asked.
    """
    dataset = half_of(squad_chunks(data, None if half else SQUAD_QUESTIONS), half)
    passages = PassageEncoder(encoder, "retrieval.passage", WholeDocument())
    variants = [Variant.ROWS, Variant.LATE, Variant.BLEND]
    report = evaluate(dataset, passages, variants=variants, dimensions=[encoder.dimensions])
    for figures in report.figures:
        yield f"{dataset.name}, {figures.variant}, nDCG@10", figures.ndcg
        yield f"{dataset.name}, {figures.variant}, nDCG@10 in its article", figures.inside or 0.0
    for name, difference in zip(("late", "blend"), report.differences, strict=True):
        yield f"{name} − naive, nDCG@10", difference.all.mean
        yield f"{name} − naive, least", difference.all.low
        yield f"{name} − naive, most", difference.all.high
        yield (
            f"{dataset.name}, {name}, nDCG@10 where only the question names the subject",
            difference.context_ndcg or 0.0,
        )
    whole = PassageEncoder(encoder, "retrieval.passage", WholeDocument(), encoder.max_tokens)
    articles = evaluate(dataset, whole, variants=[Variant.LATE], dimensions=[encoder.dimensions])
    yield f"{dataset.name}, {Variant.LATE} of whole articles, nDCG@10", articles.figures[0].ndcg


def pass_keys(encoder: Encoder, data: Path) -> Measures:
    """Accuracy at rank 1 among 100 documents, each as one vector, by length in tokens."""
    for words in PASSKEY_WORDS:
        dataset = passkey(data, words)
        passages = PassageEncoder(encoder, "retrieval.passage", WholeDocument())
        asked = encoder.encode(list(dataset.queries.values()), task="retrieval.query")
        run = rank(dataset, asked, passages.encode(dataset, Variant.ROWS), encoder.dimensions)
        best = {query: dict([max(scores.items(), key=lambda pair: pair[1])]) for query, scores in run.items()}
        tokens = encoder.count_tokens([passage.text for passage in dataset.passages])
        name = f"passkey, {sum(tokens) // len(tokens)} tokens, accuracy"
        yield name, measure(dataset.relevance, best)["ndcg"]


if __name__ == "__main__":
    main()
