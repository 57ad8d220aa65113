"""Textbook sections as documents: chunks in reading order, and the questions that one of them answers."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK_WORDS = 40
DOCUMENT_CHUNKS = 40
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
EMPTY_TITLES = ("introduction", "preface", "chapter", "summary", "key ")


@dataclass(frozen=True)
class Document:
    """A section: what it is about, its chunks of whole sentences, and (question, chunk number) pairs."""

    title: str
    chunks: list[str]
    questions: list[tuple[str, int]]

    def named(self, number: int) -> str:
        """The chunk with the subject that only its surroundings tell."""
        return f"{self.title}. {self.chunks[number]}"


def rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The objects of one gzipped JSON-lines file."""
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def read_textbooks(folder: Path) -> list[Document]:
    """English sections of at least four chunks, cut after `DOCUMENT_CHUNKS`."""
    asked = _questions(folder)
    documents = []
    for row in rows(folder, "openstax_docs"):
        if row["lang"] != "en":
            continue
        chunks, first = _chunks([text for _, text in row["paras"]])
        if len(chunks) >= 4:
            questions = _located(asked.get(row["id"], []), chunks, first)
            documents.append(Document(_subject(row), chunks, questions))
    return documents


def split_sentences(text: str, words: int = CHUNK_WORDS) -> list[str]:
    """Whole sentences packed greedily to at most `words` words; a longer sentence stands alone."""
    packed: list[str] = []
    room = 0
    for sentence in SENTENCE_END.split(text):
        length = len(sentence.split())
        if packed and length <= room:
            packed[-1] += f" {sentence}"
            room -= length
        else:
            packed.append(sentence)
            room = words - length
    return packed


def _chunks(paragraphs: list[str]) -> tuple[list[str], list[int]]:
    """Chunks of all paragraphs, and the number of each paragraph's first one."""
    chunks: list[str] = []
    first = []
    for paragraph in paragraphs:
        first.append(len(chunks))
        if len(chunks) < DOCUMENT_CHUNKS:
            chunks += split_sentences(paragraph)
    return chunks[:DOCUMENT_CHUNKS], [*first, len(chunks)]


def _questions(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """(question, paragraph number) by section: key terms, their definitions, and review questions."""
    questions: dict[str, list[tuple[str, int]]] = {}
    for number, row in enumerate(rows(folder, "openstax_terms")):
        if row["para"] is not None and row["definition"]:
            query = f"What is {row['term']}?" if number % 2 else row["definition"]
            questions.setdefault(row["id"], []).append((query, row["para"]))
    for row in rows(folder, "openstax_questions"):
        if row.get("bm25", 0) >= 8:
            questions.setdefault(row["id"], []).append((row["q"], row["para"]))
    return questions


def _located(asked: list[tuple[str, int]], chunks: list[str], first: list[int]) -> list[tuple[str, int]]:
    """Questions with the chunk of their paragraph that shares most words with them."""
    located = []
    for query, paragraph in asked:
        inside = range(first[paragraph], min(first[paragraph + 1], len(chunks)))
        words = set(re.findall(r"\w{3,}", query.lower()))
        shared = [len(words & set(re.findall(r"\w{3,}", chunks[n].lower()))) for n in inside]
        if shared and max(shared) > 0:
            located.append((query, inside[shared.index(max(shared))]))
    return located


def _subject(row: dict[str, Any]) -> str:
    title: str = row["title"] or ""
    book: str = row["book"].replace("-", " ")
    return book if not title or title.lower().startswith(EMPTY_TITLES) else title
