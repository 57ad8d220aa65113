"""Documents whose chunks do not name their subject: what tells is the title, or the chunks around them."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .textbooks import DOCUMENT_CHUNKS, Document, read_textbooks, rows, split_sentences

LEAST_CHUNKS = 4
EAST_ASIAN_CHARACTERS = 75
EAST_ASIAN_END = re.compile(r"(?<=[。！？；])")
JOINED = 3
"""Chunks of a paragraph."""
PRONOUNS = ("it", "this", "they", "the former")
NAMES_HIDDEN = 0.75
"""Share of the later chunks of a document in which its title is hidden."""


@dataclass(frozen=True)
class Titled:
    """A document, and the collection it is from: other documents of it are near it."""

    document: Document
    source: str


def read_titled(folder: Path, seed: int, diseases: int, sections: int) -> list[Titled]:
    """Some diseases, textbook sections, and all Chinese and Japanese paragraphs. The order depends on `seed` alone."""
    shuffle = random.Random(seed)
    medicine = list(_diseases(folder))
    textbooks = [Titled(document, "textbooks") for document in read_textbooks(folder)]
    shuffle.shuffle(medicine)
    shuffle.shuffle(textbooks)
    english = [*medicine[:diseases], *textbooks[:sections]]
    titled = [*english, *map(in_paragraphs, english[::2]), *_paragraphs(folder)]
    shuffle.shuffle(titled)
    return titled


def in_paragraphs(titled: Titled) -> Titled:
    """The document in fewer, longer chunks. Paragraphs of one document are each other's hardest negatives."""
    document = titled.document
    joined = [" ".join(document.chunks[n : n + JOINED]) for n in range(0, len(document.chunks), JOINED)]
    questions = [(question, number // JOINED) for question, number in document.questions]
    return replace(titled, document=replace(document, chunks=joined, questions=questions))


def _diseases(folder: Path) -> Iterator[Titled]:
    """All answers about one disease, one after another. Each question asks for a chunk of its own answer."""
    by_focus: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows(folder, "medquad"):
        by_focus[row["focus"]].append(row)
    for focus, answers in by_focus.items():
        chunks: list[str] = []
        questions = []
        for row in answers:
            if len(chunks) < DOCUMENT_CHUNKS:
                cut = split_sentences(row["a"])
                questions.append((row["q"], len(chunks) + _nearest(row["q"], cut)))
                chunks += cut
        if len(chunks) >= LEAST_CHUNKS:
            kept = [question for question in questions if question[1] < DOCUMENT_CHUNKS]
            yield Titled(Document(focus, chunks[:DOCUMENT_CHUNKS], kept), "medicine")


def _paragraphs(folder: Path) -> Iterator[Titled]:
    """Paragraphs that hold the answers to their questions word for word."""
    for name in ("cmrc2018", "jsquad"):
        for row in rows(folder, name):
            chunks = _east_asian_chunks(row["context"])
            questions = [
                (question, number)
                for _, question, *answers in row["qas"]
                for number, chunk in enumerate(chunks)
                if answers and str(answers[0]) in chunk
            ]
            if len(chunks) > 1 and questions:
                yield Titled(Document("", chunks, list(dict(questions).items())), str(row["lang"]))


def _east_asian_chunks(text: str) -> list[str]:
    chunks: list[str] = []
    for sentence in filter(None, map(str.strip, EAST_ASIAN_END.split(text))):
        if chunks and len(chunks[-1]) + len(sentence) <= EAST_ASIAN_CHARACTERS:
            chunks[-1] += sentence
        else:
            chunks.append(sentence)
    return chunks


def _nearest(question: str, chunks: Sequence[str]) -> int:
    """The chunk that shares most words with a question, the first one of several."""
    words = set(re.findall(r"\w{3,}", question.lower()))
    shared = [len(words & set(re.findall(r"\w{3,}", chunk.lower()))) for chunk in chunks]
    return shared.index(max(shared))


def hide_title(document: Document, order: random.Random) -> tuple[list[str], list[bool]]:
    """The chunks, in most of which but the first the title gives way to a pronoun or to nothing; and in which."""
    words = [word for word in re.findall(r"\w{3,}", document.title) if word.lower() not in PRONOUNS]
    if not words:
        return document.chunks, [False] * len(document.chunks)
    name = re.compile(rf"\b(?:{'|'.join(words)})s?\b(?:\s+(?:{'|'.join(words)})\b)*", re.IGNORECASE)
    chunks, hidden = [document.chunks[0]], [False]
    for chunk in document.chunks[1:]:
        pronoun = order.choice(("", *PRONOUNS))
        changed = name.sub(pronoun, chunk) if order.random() < NAMES_HIDDEN else chunk
        hidden.append(changed != chunk and bool(re.search(r"\w", changed)))
        chunks.append(changed if hidden[-1] else chunk)
    return chunks, hidden
