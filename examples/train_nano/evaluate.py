"""Figures of the model card: `python -m examples.train_nano.evaluate --data EVAL`. Training never reads this folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.stats import spearmanr

from jina_v3_encoder import Encoder

from .corpus import rows

DIMENSIONS = (384, 256, 128, 64, 32)
LANGUAGES = ("de", "fr", "es", "nl", "it", "pt", "ru", "zh", "ja")
SQUAD_QUESTIONS = 1500
Cases = tuple[list[str], list[str], list[int]]


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of *.jsonl.gz files.")
@click.option("--model", default="nano", show_default=True)
def main(data: Path, model: str) -> None:
    """Print retrieval, similarity and translation figures, one per line."""
    encoder = Encoder.from_pretrained(model)
    for name, value in measures(encoder, data):
        click.echo(f"{name:48} {value:.3f}")


def measures(encoder: Encoder, data: Path) -> Iterator[tuple[str, float]]:
    """Name and value of each measure."""
    english = reading_questions(data, "en", "en")
    for size in DIMENSIONS:
        yield f"XQuAD en, nDCG@10, {size} dimensions", retrieval(encoder, english, size)
    yield "XQuAD en, nDCG@10, no adapter", retrieval(encoder, english, None, task=False)
    for asked, written in (("de", "de"), ("es", "es"), ("zh", "zh"), ("de", "en"), ("zh", "en")):
        cases = reading_questions(data, asked, written)
        yield f"XQuAD {asked} question, {written} paragraph, nDCG@10", retrieval(encoder, cases, None)
    yield "SQuAD dev paragraphs, nDCG@10", retrieval(encoder, squad_questions(data), None)
    yield "MedQuAD, nDCG@10", retrieval(encoder, medical_questions(data), None)
    pairs = list(rows(data, "stsb_multi_test"))
    for language in ("en", "de", "fr", "es", "zh"):
        yield f"STS-B {language}, Spearman", similarity(encoder, pairs, language, "text-matching")
    yield "STS-B en, Spearman, no adapter", similarity(encoder, pairs, "en", None)
    sentences = defaultdict(list)
    for row in rows(data, "tatoeba_bitext"):
        sentences[row["lang"]].append((row["x"], row["en"]))
    for language in LANGUAGES:
        yield f"Tatoeba {language} to en, accuracy", translation(encoder, sentences[language])


def reading_questions(data: Path, asked: str, written: str) -> Cases:
    """XQuAD: questions of one language, paragraphs of another, and the index of each question's paragraph."""
    table = list(rows(data, "xquad_eval"))
    paragraphs = [row for row in table if row["lang"] == written]
    place = {row["pid"]: index for index, row in enumerate(paragraphs)}
    found = [(qa[1], place[row["pid"]]) for row in table if row["lang"] == asked for qa in row["qas"]]
    return [text for text, _ in found], [row["context"] for row in paragraphs], [index for _, index in found]


def squad_questions(data: Path) -> Cases:
    paragraphs = [paragraph for row in rows(data, "squad_dev_eval") for paragraph in row["paras"]]
    found = [(qa[1], index) for index, paragraph in enumerate(paragraphs) for qa in paragraph["qas"]]
    chosen = np.random.default_rng(0).permutation(len(found))[:SQUAD_QUESTIONS]
    return [found[n][0] for n in chosen], [row["t"] for row in paragraphs], [found[n][1] for n in chosen]


def medical_questions(data: Path) -> Cases:
    table = list(rows(data, "medquad_eval"))
    answers = list(dict.fromkeys(row["a"] for row in table))
    place = {answer: index for index, answer in enumerate(answers)}
    return [row["q"] for row in table], answers, [place[row["a"]] for row in table]


def retrieval(encoder: Encoder, cases: Cases, size: int | None, *, task: bool = True) -> float:
    """nDCG@10 with one right passage per question."""
    questions, passages, right = cases
    asked = encoder.encode(questions, task="retrieval.query" if task else None, dimensions=size)
    written = encoder.encode(passages, task="retrieval.passage" if task else None, dimensions=size)
    scores = asked @ written.T
    ranks = (scores > scores[np.arange(len(right)), right][:, None]).sum(1)
    return float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean())


def similarity(encoder: Encoder, pairs: Sequence[dict[str, Any]], language: str, task: str | None) -> float:
    first, second = (encoder.encode([row[language][side] for row in pairs], task=task) for side in (0, 1))
    return float(spearmanr((first * second).sum(1), [row["score"] for row in pairs])[0])


def translation(encoder: Encoder, sentences: Sequence[tuple[str, str]]) -> float:
    foreign, english = (encoder.encode([pair[side] for pair in sentences], task="text-matching") for side in (0, 1))
    return float(((foreign @ english.T).argmax(1) == np.arange(len(sentences))).mean())


if __name__ == "__main__":
    main()
