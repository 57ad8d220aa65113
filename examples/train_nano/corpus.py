"""Read the training folder into the five kinds of examples the stages use.

Every reader returns plain Python values; nothing here knows about tokens or tensors.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LANGUAGES = ("de", "es", "fr", "it", "ja", "nl", "pt", "ru", "zh")
PARALLEL_TABLES = ("parallel_ntrex", "parallel_tico19", "sib200_flores")
MIN_BM25 = 10
READING_QUESTIONS = ("arcd", "cmrc2018", "jsquad")


@dataclass(frozen=True)
class Pair:
    """A query and the passage that answers it; `group` marks passages that must not be each other's negatives."""

    query: str
    passage: str
    group: str


@dataclass(frozen=True)
class Scored:
    """Two sentences and their similarity in 0..1."""

    first: str
    second: str
    score: float


@dataclass(frozen=True)
class Document:
    """A textbook section: paragraphs in reading order, and each paragraph named by its section's title."""

    paragraphs: list[str]
    titled: list[str]


@dataclass
class Corpus:
    """Everything read. `translations` are (text, English, language); label sets are (text, label) by data set."""

    english: list[str] = field(default_factory=list)
    translations: list[tuple[str, str, str]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    labelled: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    clusters: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def read_corpus(folder: Path, seed: int) -> Corpus:
    """Read everything, in an order that depends on `seed` alone."""
    corpus = Corpus()
    _read_documents(folder, corpus)
    _read_translations(folder, corpus)
    _read_pairs(folder, corpus)
    _read_scored(folder, corpus)
    _read_labels(folder, corpus)
    _collect_english(folder, corpus)
    shuffle = random.Random(seed)
    for items in (corpus.english, corpus.translations, corpus.documents, corpus.pairs, corpus.scored):
        shuffle.shuffle(items)
    return corpus


def _titled(title: str, heading: str, paragraph: str) -> str:
    return ". ".join(part for part in (title, heading, paragraph) if part)


def _read_documents(folder: Path, corpus: Corpus) -> None:
    for row in rows(folder, "openstax_docs"):
        if row["lang"] == "en" and len(row["paras"]) > 2:
            paragraphs = [text for _, text in row["paras"]]
            titled = [_titled(row["title"], heading, text) for heading, text in row["paras"]]
            corpus.documents.append(Document(paragraphs, titled))


def _read_translations(folder: Path, corpus: Corpus) -> None:
    add = corpus.translations.append
    for name in ("parallel_tatoeba", "parallel_openstax"):
        for row in rows(folder, name):
            if row["lang"] in LANGUAGES:
                add((row["x"], row["en"], row["lang"]))
    for name in PARALLEL_TABLES:
        for row in rows(folder, name):
            for language in LANGUAGES:
                if language in row:
                    add((row[language], row["en"], language))
    corpus.translations += _translated_sentences(folder)
    corpus.translations += _translated_pages(folder)


def _translated_sentences(folder: Path) -> Iterator[tuple[str, str, str]]:
    for row in rows(folder, "stsb_multi_train"):
        for language in LANGUAGES:
            if language in row:
                for side in (0, 1):
                    yield row[language][side], row["en"][side], language


def _translated_pages(folder: Path) -> Iterator[tuple[str, str, str]]:
    for row in rows(folder, "tldr_pages"):
        for language, page in row.get("tr", {}).items():
            if language in LANGUAGES and page.get("d") and row.get("d"):
                yield page["d"], row["d"], language


def _read_pairs(folder: Path, corpus: Corpus) -> None:
    corpus.pairs += _textbook_pairs(folder)
    corpus.pairs += _reading_pairs(folder)
    corpus.pairs += [Pair(row["q"], row["a"], row["a"][:80]) for row in rows(folder, "medquad")]
    corpus.pairs += [Pair(row["q"], row["a"], row["a"].lower()) for row in rows(folder, "opentrivia")]
    corpus.pairs += [Pair(s, row["abstract"], row["id"]) for row in rows(folder, "scitldr") for s in row["tldr"]]
    for row in rows(folder, "tldr_pages"):
        passage = f"{row['cmd']}: {row['d']} {' '.join(command for _, command in row['ex'])}"
        descriptions = [text for text, _ in row["ex"][:3] if text and row["d"]]
        corpus.pairs += [Pair(text, passage, row["cmd"]) for text in descriptions]


def _textbook_pairs(folder: Path) -> Iterator[Pair]:
    sections = {row["id"]: row["paras"] for row in rows(folder, "openstax_docs")}
    for row in rows(folder, "openstax_questions"):
        if row.get("bm25", 0) >= MIN_BM25:
            yield Pair(row["q"], sections[row["id"]][row["para"]][1], f"{row['id']}#{row['para']}")
    for number, row in enumerate(rows(folder, "openstax_terms")):
        if not row["definition"]:
            continue
        if row["para"] is not None and row["id"] in sections:
            query = f"What is {row['term']}?" if number % 2 else row["definition"]
            yield Pair(query, sections[row["id"]][row["para"]][1], f"{row['id']}#{row['para']}")
        yield Pair(row["term"], row["definition"], row["term"].lower())


def _reading_pairs(folder: Path) -> Iterator[Pair]:
    for name in READING_QUESTIONS:
        for row in rows(folder, name):
            if row["lang"] in LANGUAGES:
                for _, question, *_rest in row["qas"]:
                    yield Pair(question.strip(" -"), row["context"], row["context"][:80])


def _read_scored(folder: Path, corpus: Corpus) -> None:
    for row in rows(folder, "stsb_multi_train"):
        for language in ("en", *LANGUAGES):
            if language in row:
                first, second = row[language]
                corpus.scored.append(Scored(first, second, row["score"] / 5))
    for row in rows(folder, "jsts_train"):
        corpus.scored.append(Scored(row["s1"], row["s2"], row["score"] / 5))


def _read_labels(folder: Path, corpus: Corpus) -> None:
    for name in ("clinc150", "hwu64", "goemotions"):
        corpus.labelled[name] = [(row["text"], row["label"]) for row in rows(folder, name)]
    corpus.labelled["sib200"] = [
        (row[language], row["label"]) for row in rows(folder, "sib200_flores") for language in ("en", *LANGUAGES)
    ]
    corpus.clusters["trivia"] = [(row["q"], row["cat"]) for row in rows(folder, "opentrivia")]
    corpus.clusters["sections"] = [
        (paragraph, row["book"])
        for row in rows(folder, "openstax_docs")
        if row["lang"] == "en"
        for _, paragraph in row["paras"][:12]
    ]
    corpus.clusters["sib200"] = corpus.labelled["sib200"]


def _collect_english(folder: Path, corpus: Corpus) -> None:
    """Texts for distillation: everything English, each once."""
    texts = dict.fromkeys(english for _, english, _ in corpus.translations)
    for document in corpus.documents:
        texts.update(dict.fromkeys(document.titled))
    for row in rows(folder, "wordnet_glosses"):
        texts[f"{', '.join(row['m'])}: {row['d']}"] = None
        texts.update(dict.fromkeys(row.get("e", [])[:1]))
    for row in rows(folder, "questions_paralex"):
        texts[row["q"]] = None
    for pair in corpus.pairs:
        texts.update(dict.fromkeys((pair.query, pair.passage)))
    for items in corpus.labelled.values():
        texts.update(dict.fromkeys(text for text, _ in items))
    corpus.english = [text for text in texts if _mostly_latin(text)]


def _mostly_latin(text: str) -> bool:
    return bool(text) and sum(character < "\u0250" for character in text) > 0.8 * len(text)
