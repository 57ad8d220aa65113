"""A BEIR folder is read as it stands, and what is wrong with it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.evaluation.dataset import Passage, read_dataset

CORPUS: list[dict[str, Any]] = [
    {"_id": "a", "title": "Tea", "text": "is hot"},
    {"_id": 2, "text": "Ice is cold", "document": "ice"},
    {"_id": "c", "text": "and wet", "document": "ice"},
]
QUERIES = [{"_id": "q1", "text": "what is hot?"}, {"_id": "q2", "text": "what is cold?"}, {"_id": "q3", "text": "?"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\ta\t2\nq2\t2\t1\nq2\ta\t0\n"


def write(
    folder: Path, corpus: Any = CORPUS, queries: Any = QUERIES, qrels: str = QRELS, name: str = "test.tsv"
) -> Path:
    for file, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        (folder / file).write_text(text, encoding="utf-8")
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels" / name).write_text(qrels, encoding="utf-8")
    return folder


def test_reading(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path))
    assert dataset.passages == [
        Passage("a", "Tea is hot"),
        Passage("2", "Ice is cold", "ice"),
        Passage("c", "and wet", "ice"),
    ]
    assert dataset.queries == {"q1": "what is hot?", "q2": "what is cold?"}, "q3 is not judged"
    assert dataset.relevance == {"q1": {"a": 2}, "q2": {"2": 1}}, "grade 0 is not relevant"
    assert dataset.chunked
    assert dataset.name == tmp_path.name


def test_other_splits_and_forms(tmp_path: Path) -> None:
    write(tmp_path, qrels="q1\ta\t1\n", name="dev.tsv")
    assert read_dataset(tmp_path, "dev").relevance == {"q1": {"a": 1}}, "no header is fine"
    (tmp_path / "qrels.jsonl").write_text('{"query-id": "q2", "corpus-id": "a", "score": 1}\n')
    assert read_dataset(tmp_path, "test").relevance == {"q2": {"a": 1}}
    (tmp_path / "qrels.tsv").write_text("q3\ta\t1.0\n")
    assert read_dataset(tmp_path, "test").relevance == {"q3": {"a": 1}}


def test_passages_that_stand_alone(tmp_path: Path) -> None:
    assert not read_dataset(write(tmp_path, corpus=CORPUS[:1], qrels="q1\ta\t1\n")).chunked


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corpus": "{"}, r"corpus.jsonl, line 1 is not JSON"),
        ({"corpus": "[]"}, r"corpus.jsonl, line 1 must be a JSON object, got list"),
        ({"corpus": [{"text": "x"}]}, r'line 1 must have "_id"'),
        ({"corpus": [{"_id": True, "text": "x"}]}, r'line 1 must have "_id"'),
        ({"corpus": [{"_id": "a"}]}, r'line 1 must have a string "text"'),
        ({"corpus": [{"_id": "a", "text": 3}]}, r'line 1 must have a string "text"'),
        ({"corpus": [CORPUS[0], CORPUS[0]]}, r"line 2: _id 'a' comes twice"),
        ({"corpus": [{"_id": "a", "text": "x", "title": 3}]}, r"must be strings"),
        ({"corpus": [CORPUS[1], CORPUS[0], CORPUS[2]]}, r"rows of document 'ice' are not next to each other"),
        ({"queries": [{"_id": "q1", "text": "x"}]}, r"line 3: query 'q2' is not in queries.jsonl"),
        ({"qrels": "q1\tz\t1\n"}, r"line 1: passage 'z' is not in corpus.jsonl"),
        ({"qrels": "q1\ta\n"}, r"line 1 must be query id, passage id and a grade, got \['q1', 'a'\]"),
        ({"qrels": "q1\ta\tyes\n"}, r"must be query id, passage id and a grade"),
        ({"qrels": "q1\ta\t0\n"}, r"judges no passage as relevant"),
        ({"name": "dev.tsv"}, r"judgements of split 'test' are missing"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write(tmp_path, **change)
    with pytest.raises(DocumentError, match=message):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_missing_files(tmp_path: Path, name: str) -> None:
    (write(tmp_path) / name).unlink()
    with pytest.raises(DocumentError, match=f"has no {name}"):
        read_dataset(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "qrels" / "test.tsv").write_bytes(b"q1\ta\t1\ncaf\xe9\n")
    with pytest.raises(DocumentError, match="not UTF-8"):
        read_dataset(tmp_path)
    (tmp_path / "corpus.jsonl").write_bytes(b'{"_id": "caf\xe9"}')
    with pytest.raises(DocumentError, match=r"corpus.jsonl, line 1 is not UTF-8 \(byte 12\)"):
        read_dataset(tmp_path)
