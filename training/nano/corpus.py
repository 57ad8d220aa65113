"""Read the training folder into the five kinds of examples the stages use.

Every reader returns plain Python values; nothing here knows about tokens or tensors.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .textbooks import Document, read_textbooks, rows

LANGUAGES = ("de", "es", "fr", "it", "ja", "nl", "pt", "ru", "zh")
PARALLEL_TABLES = ("parallel_ntrex", "parallel_tico19", "sib200_flores")
MIN_BM25 = 10
READING_QUESTIONS = ("arcd", "cmrc2018", "jsquad")


@dataclass(frozen=True)
class Pair:
    """A query and the passage that answers it.

    `group` marks passages that must not be each other's negatives; pairs of one `cluster` make hard negatives.
    """

    query: str
    passage: str
    group: str
    source: str
    cluster: str


@dataclass
class Corpus:
    """Everything read. `translations` are (text, English, language); label sets are (text, label) by data set.

    `near` are pairs of sentences more or less alike; `loose` are English texts that come in no pair: glosses, real
    questions, utterances.
    """

    loose: list[str] = field(default_factory=list)
    translations: list[tuple[str, str, str]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    near: list[tuple[str, str]] = field(default_factory=list)
    labelled: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    clusters: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def read_corpus(folder: Path, seed: int) -> Corpus:
    """Read everything, in an order that depends on `seed` alone."""
    corpus = Corpus()
    corpus.documents = read_textbooks(folder)
    _read_translations(folder, corpus)
    _read_pairs(folder, corpus)
    _read_near(folder, corpus)
    _read_labels(folder, corpus)
    _collect_loose(folder, corpus)
    shuffle = random.Random(seed)
    for examples in (corpus.loose, corpus.translations, corpus.documents, corpus.pairs, corpus.near):
        shuffle.shuffle(examples)
    return corpus


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
    corpus.pairs += [
        Pair(row["q"], row["a"], row["a"][:80], "medicine", row["focus"]) for row in rows(folder, "medquad")
    ]
    corpus.pairs += [
        Pair(row["q"], row["a"], row["a"].lower(), "trivia", row["cat"]) for row in rows(folder, "opentrivia")
    ]
    corpus.pairs += [
        Pair(short, row["abstract"], row["id"], "abstracts", row["id"])
        for row in rows(folder, "scitldr")
        for short in row["tldr"]
    ]
    for row in rows(folder, "tldr_pages"):
        passage = f"{row['cmd']}: {row['d']} {' '.join(command for _, command in row['ex'])}"
        family = row["cmd"].split("-")[0].split()[0]
        descriptions = [text for text, _ in row["ex"][:3] if text and row["d"]]
        corpus.pairs += [Pair(text, passage, row["cmd"], "commands", family) for text in descriptions]


def _textbook_pairs(folder: Path) -> Iterator[Pair]:
    sections = {row["id"]: row["paras"] for row in rows(folder, "openstax_docs")}
    for row in rows(folder, "openstax_questions"):
        if row.get("bm25", 0) >= MIN_BM25:
            section, number = row["id"], row["para"]
            yield Pair(row["q"], sections[section][number][1], f"{section}#{number}", "textbooks", section)
    for number, row in enumerate(rows(folder, "openstax_terms")):
        if not row["definition"]:
            continue
        if row["para"] is not None and row["id"] in sections:
            query = f"What is {row['term']}?" if number % 2 else row["definition"]
            paragraph = sections[row["id"]][row["para"]][1]
            yield Pair(query, paragraph, f"{row['id']}#{row['para']}", "textbooks", row["id"])
        yield Pair(row["term"], row["definition"], row["term"].lower(), "terms", row["id"])


def _reading_pairs(folder: Path) -> Iterator[Pair]:
    for name in READING_QUESTIONS:
        for row in rows(folder, name):
            if row["lang"] in LANGUAGES:
                for _, question, *_rest in row["qas"]:
                    text = row["context"]
                    yield Pair(question.strip(" -"), text, text[:80], "reading", text[:80])


def _read_near(folder: Path, corpus: Corpus) -> None:
    corpus.near += [(row["en"][0], row["en"][1]) for row in rows(folder, "stsb_multi_train")]


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


def _collect_loose(folder: Path, corpus: Corpus) -> None:
    texts: dict[str, None] = {}
    for row in rows(folder, "wordnet_glosses"):
        texts[f"{', '.join(row['m'])}: {row['d']}"] = None
        texts.update(dict.fromkeys(row.get("e", [])[:1]))
    for row in rows(folder, "questions_paralex"):
        texts[row["q"]] = None
    for labelled_texts in corpus.labelled.values():
        texts.update(dict.fromkeys(text for text, _ in labelled_texts))
    corpus.loose = [text for text in texts if mostly_latin(text)]


def mostly_latin(text: str) -> bool:
    """Whether the teacher, which reads English, may be asked about `text`."""
    return bool(text) and sum(character < "\u0250" for character in text) > 0.8 * len(text)
