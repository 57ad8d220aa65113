"""Files of questions and judgements."""

from __future__ import annotations

from pathlib import Path

import pytest

from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.migration.questions import Question, judgements_of, read_questions


def written(folder: Path, name: str, content: str) -> Path:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return file


def test_lines_of_json(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "questions.jsonl",
        '{"text": "one?", "id": "a", "lang": "en"}\n\n{"text": "zwei?", "_id": 7}\n{"text": "three?"}\n',
    )
    assert read_questions(file) == [Question("a", "one?", "en"), Question("7", "zwei?"), Question("3", "three?")]


def test_lines_of_text(tmp_path: Path) -> None:
    file = written(tmp_path, "questions.txt", "\ufeffone?\n\n  two? \n")
    assert read_questions(file) == [Question("1", "one?"), Question("2", "two?")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.txt", " \n\n", "holds no question"),
        ("q.jsonl", "", "holds no question"),
        ("q.jsonl", '{"text": " "}', r'line 1 must have a "text" with something in it'),
        ("q.jsonl", '{"id": "a"}', r'"text" with something in it, got None'),
        ("q.jsonl", '{"text": "a", "id": true}', 'its "id" must be a string or a whole number'),
        ("q.jsonl", '{"text": "a", "lang": 1}', 'its "lang" must be a string such as "de"'),
        ("q.jsonl", '{"text": "a", "id": 1}\n{"text": "b", "id": "1"}', "line 2: id '1' comes twice"),
        ("q.jsonl", "no json", "is not JSON"),
    ],
)
def test_malformed_questions(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read_questions(written(tmp_path, name, content))


def test_text_in_another_encoding(tmp_path: Path) -> None:
    file = tmp_path / "q.txt"
    file.write_bytes("für\n".encode("latin-1"))
    with pytest.raises(DocumentError, match=r"not UTF-8 \(byte 1\)"):
        read_questions(file)
    with pytest.raises(DocumentError, match="cannot be read"):
        read_questions(tmp_path / "missing.txt")


QUESTIONS = [Question("q1", "one?"), Question("q2", "two?")]


def test_judgements_of_the_questions_that_are_asked(tmp_path: Path) -> None:
    file = written(tmp_path, "qrels.tsv", "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\tc\t1\nother\td\t1\n")
    assert judgements_of(file, QUESTIONS) == {"q1": {"a": 2}, "q2": {"c": 1}}
    lines = written(tmp_path, "qrels.jsonl", '{"query-id": "q1", "corpus-id": "a", "score": 3}\n')
    assert judgements_of(lines, QUESTIONS) == {"q1": {"a": 3}}


def test_judgements_of_other_questions(tmp_path: Path) -> None:
    file = written(tmp_path, "qrels.tsv", "one\ta\t1\n")
    with pytest.raises(DocumentError, match=r"the 2 questions: its first column must hold their ids, such as 'q1'"):
        judgements_of(file, QUESTIONS)
    with pytest.raises(DocumentError, match=r"qrels\.tsv, line 1 must be query id, passage id and a grade"):
        judgements_of(written(tmp_path, "qrels.tsv", "q1 a 1\n"), QUESTIONS)
    with pytest.raises(DocumentError, match="cannot be read"):
        judgements_of(tmp_path / "none.tsv", QUESTIONS)
