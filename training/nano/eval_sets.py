"""The evaluation folder as retrieval datasets, in memory or as BEIR folders for `jina-v3 eval`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from zlib import crc32

from jina_v3_connectors.evaluation.dataset import Dataset, Passage

from .textbooks import rows, split_sentences

SQUAD_QUESTIONS = 1500
PASSKEY_DOCUMENTS = 100
PASSKEY_QUERIES = 50
FIRST_NAMES = ("Ada", "Boris", "Clara", "Dmitri", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas")
LAST_NAMES = ("Abel", "Brandt", "Costa", "Dvorak", "Evans", "Fischer", "Garcia", "Hansen", "Ivanov", "Jensen")
Questions = Sequence[tuple[str, int]]
Half = Literal["choose", "report"]
"""Variants are chosen on the questions of one half of the documents, and reported on the other."""


def _dataset(name: str, passages: list[Passage], asked: Questions) -> Dataset:
    """`asked` holds (question, place of its passage)."""
    queries = {f"q{n}": question for n, (question, _) in enumerate(asked)}
    return Dataset(name, passages, queries, {f"q{n}": {passages[row].id: 1} for n, (_, row) in enumerate(asked)})


def _alone(texts: Sequence[str]) -> list[Passage]:
    return [Passage(f"p{n}", text) for n, text in enumerate(texts)]


def _sample(questions: Questions, count: int | None = SQUAD_QUESTIONS) -> Questions:
    return random.Random(0).sample(questions, min(len(questions), len(questions) if count is None else count))


def xquad(data: Path, asked: str, written: str) -> Dataset:
    """Questions of one language, paragraphs of another."""
    table = list(rows(data, "xquad_eval"))
    paragraphs = [row for row in table if row["lang"] == written]
    row_of = {row["pid"]: n for n, row in enumerate(paragraphs)}
    questions = [(qa[1], row_of[row["pid"]]) for row in table if row["lang"] == asked for qa in row["qas"]]
    return _dataset(f"xquad-{asked}-{written}", _alone([row["context"] for row in paragraphs]), questions)


def squad_paragraphs(data: Path) -> Dataset:
    paragraphs = [paragraph for row in rows(data, "squad_dev_eval") for paragraph in row["paras"]]
    questions = [(qa[1], n) for n, paragraph in enumerate(paragraphs) for qa in paragraph["qas"]]
    return _dataset("squad-paragraphs", _alone([row["t"] for row in paragraphs]), _sample(questions))


def squad_chunks(data: Path, count: int | None = SQUAD_QUESTIONS) -> Dataset:
    """Whole articles in chunks of at most 40 words; right is the chunk of the paragraph that holds an answer.

    `count` questions, None for all.
    """
    passages: list[Passage] = []
    questions = []
    for article in rows(data, "squad_dev_eval"):
        for paragraph in article["paras"]:
            chunks = split_sentences(paragraph["t"])
            for _, question, answers, *_rest in paragraph["qas"]:
                holding = [n for n, chunk in enumerate(chunks) if any(answer in chunk for answer in answers)]
                if holding:
                    questions.append((question, len(passages) + holding[0]))
            passages += [Passage(f"p{len(passages) + n}", chunk, article["title"]) for n, chunk in enumerate(chunks)]
    return _dataset("squad-chunks", passages, _sample(questions, count))


def medquad(data: Path) -> Dataset:
    table = list(rows(data, "medquad_eval"))
    answers = list(dict.fromkeys(row["a"] for row in table))
    row_of = {answer: n for n, answer in enumerate(answers)}
    return _dataset("medquad", _alone(answers), [(row["q"], row_of[row["a"]]) for row in table])


def passkey(data: Path, words: int) -> Dataset:
    """Textbook filler of `words` words with one sentence about a pass key in each (LongEmbed, arXiv 2404.12096)."""
    order = random.Random(words)
    filler = [word for row in rows(data, "openstax_eval_docs") for _, text in row["paras"] for word in text.split()]
    names = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES][:PASSKEY_DOCUMENTS]
    passages = []
    for number, name in enumerate(names):
        start = order.randrange(len(filler) - words)
        text, position = filler[start : start + words], order.randrange(words)
        fact = f"{name}'s pass key is {order.randrange(10_000, 99_999)}. Remember it."
        passages.append(Passage(f"p{number}", " ".join([*text[:position], fact, *text[position:]])))
    asked = [(f"What is the pass key for {name}?", number) for number, name in enumerate(names)]
    return _dataset(f"passkey-{words}", passages, order.sample(asked, PASSKEY_QUERIES))


def retrieval_sets(data: Path) -> Iterator[Dataset]:
    """The sets of the model card's retrieval table."""
    for asked, written in (("en", "en"), ("de", "de"), ("es", "es"), ("zh", "zh"), ("de", "en"), ("zh", "en")):
        yield xquad(data, asked, written)
    yield squad_paragraphs(data)
    yield medquad(data)


def half_of(dataset: Dataset, half: Half | None) -> Dataset:
    """The questions whose right passage is of one half of the documents; all passages. None for all questions."""
    if half is None:
        return dataset
    groups = {passage.id: passage.document or passage.id for passage in dataset.passages}

    def is_in(query: str) -> bool:
        first = next(iter(dataset.relevance[query]))
        return (crc32(groups[first].encode()) % 2 == 0) == (half == "choose")

    queries = {query: text for query, text in dataset.queries.items() if is_in(query)}
    return replace(dataset, queries=queries, relevance={query: dataset.relevance[query] for query in queries})


def write_folder(dataset: Dataset, parent: Path) -> None:
    """Write a BEIR folder that `jina-v3 eval` reads."""
    folder = parent / dataset.name
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for passage in dataset.passages:
            document = {} if passage.document is None else {"document": passage.document}
            file.write(json.dumps({"_id": passage.id, "text": passage.text, **document}, ensure_ascii=False) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"_id": name, "text": text}, ensure_ascii=False) + "\n" for name, text in dataset.queries.items()
        )
    lines = [
        f"{query}\t{right}\t{grade}" for query, grades in dataset.relevance.items() for right, grade in grades.items()
    ]
    text = "\n".join(["query-id\tcorpus-id\tscore", *lines, ""])
    (folder / "qrels" / "test.tsv").write_text(text, encoding="utf-8")
