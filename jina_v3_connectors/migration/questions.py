"""The questions of a comparison, and the judgements of what answers them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DocumentError
from ..evaluation.dataset import read_judgements
from ..files.json_lines import read_json_lines

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
Judgements = dict[str, dict[str, int]]
"""Grades above 0 by the question's id and the document's."""


@dataclass(frozen=True)
class Question:
    """What somebody asks. A question without an id has its number in the file, from 1."""

    id: str
    text: str
    language: str | None = None


def read_questions(file: Path) -> list[Question]:
    """The questions of a file: lines of JSON with "text", and if you like "id" (or "_id") and "lang"; or lines of text.

    Raises:
        DocumentError: the file cannot be read, holds no question, or gives an id twice; or a line is malformed.
    """
    rows = _json_questions(file) if file.suffix in JSON_SUFFIXES else _text_questions(file)
    questions: dict[str, Question] = {}
    for where, question in rows:
        if question.id in questions:
            raise DocumentError(f"{where}: id {question.id!r} comes twice")
        questions[question.id] = question
    if not questions:
        raise DocumentError(f"{file} holds no question: write one on each line")
    return list(questions.values())


def _json_questions(file: Path) -> Iterator[tuple[str, Question]]:
    for number, (where, row) in enumerate(read_json_lines(file), 1):
        text, language = row.get("text"), row.get("lang")
        identifier = row.get("id", row.get("_id", number))
        if not isinstance(text, str) or not text.strip():
            raise DocumentError(f'{where} must have a "text" with something in it, got {text!r:.100}')
        if isinstance(identifier, bool) or not isinstance(identifier, str | int):
            raise DocumentError(f'{where}: its "id" must be a string or a whole number, got {identifier!r:.100}')
        if not isinstance(language, str | None):
            raise DocumentError(f'{where}: its "lang" must be a string such as "de", got {language!r:.100}')
        yield where, Question(str(identifier), text, language or None)


def _text_questions(file: Path) -> Iterator[tuple[str, Question]]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DocumentError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{file} is not UTF-8 (byte {error.start}): convert it, e.g. with iconv") from error
    for number, line in enumerate(filter(str.strip, lines), 1):
        yield f"{file}, question {number}", Question(str(number), line.strip())


def judgements_of(file: Path, questions: list[Question]) -> Judgements:
    """The judgements of `questions` in a file of qrels, .tsv or .jsonl: question id, document id, grade.

    Judgements of other questions are left out: you may ask a part of a data set.

    Raises:
        DocumentError: the file cannot be read, or judges no document as relevant to one of the questions.
    """
    asked = {question.id for question in questions}
    judgements: Judgements = {}
    for _, question, document, grade in read_judgements(file):
        if grade > 0 and question in asked:
            judgements.setdefault(question, {})[document] = grade
    if not judgements:
        raise DocumentError(
            f"{file} judges no document as relevant to one of the {len(questions):,} questions: its first column must "
            f'hold their ids, such as {questions[0].id!r} (the "id" of a line, or its number among the questions)'
        )
    return judgements
