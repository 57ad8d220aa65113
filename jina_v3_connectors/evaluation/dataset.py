"""A BEIR-style folder: corpus.jsonl, queries.jsonl and qrels.

Rows of corpus.jsonl may carry a "document": rows of one document are then its consecutive chunks, and late chunking
reads them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jina_v3_encoder.texts.late_chunking import Span

from ..errors import DocumentError
from ..files.json_lines import read_json_lines

QRELS_HEADER = "query-id"


@dataclass(frozen=True)
class Passage:
    """One row that can be found. `document` names what it is a chunk of, None when it stands alone."""

    id: str
    text: str
    document: str | None = None
    span: Span | None = None
    """Where it stands in its document, if the dataset has the document's text."""


@dataclass(frozen=True)
class Dataset:
    """Passages in file order, judged queries by id, and grades above 0 by query and passage id."""

    name: str
    passages: list[Passage]
    queries: dict[str, str]
    relevance: dict[str, dict[str, int]]
    answers: dict[str, str] = field(default_factory=dict)
    """The words that answer a query, by its id, where they are known."""
    texts: dict[str, str] = field(default_factory=dict)
    """Whole documents by name, where the passages are cut from them; else the passages are joined."""

    @property
    def chunked(self) -> bool:
        """Whether passages are chunks of documents."""
        return any(passage.document is not None for passage in self.passages)


def read_dataset(folder: Path, split: str = "test") -> Dataset:
    """Read `folder`; queries without a judgement in `split` are left out.

    Files: corpus.jsonl with "_id", "text" and optionally "title" and "document"; queries.jsonl with "_id", "text" and
    optionally "answer", words of the right passage; qrels/SPLIT.tsv (or .jsonl), or qrels.tsv (or .jsonl), with
    query-id, corpus-id and score.

    Raises:
        DocumentError: a file is missing or malformed, an id comes twice, or a judgement names an id that is not there.
    """
    passages = _passages(_required(folder, "corpus.jsonl"))
    questions = dict(_rows(_required(folder, "queries.jsonl")))
    texts = {identifier: row["text"] for identifier, row in questions.items()}
    known = {passage.id for passage in passages}
    relevance: dict[str, dict[str, int]] = {}
    for where, query, passage, grade in read_judgements(_qrels_file(folder, split)):
        if query not in texts:
            raise DocumentError(f"{where}: query {query!r} is not in queries.jsonl")
        if passage not in known:
            raise DocumentError(f"{where}: passage {passage!r} is not in corpus.jsonl")
        if grade > 0:
            relevance.setdefault(query, {})[passage] = grade
    if not relevance:
        raise DocumentError(f"{folder}: split {split!r} judges no passage as relevant, so there is nothing to measure")
    answers = {query: answer for query in relevance if isinstance(answer := questions[query].get("answer"), str)}
    return Dataset(folder.resolve().name, passages, {query: texts[query] for query in relevance}, relevance, answers)


def _required(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise DocumentError(f"{folder} has no {name}: a dataset is corpus.jsonl, queries.jsonl and qrels/test.tsv")
    return folder / name


def _passages(file: Path) -> list[Passage]:
    passages = []
    for identifier, row in _rows(file):
        title, document = row.get("title") or "", row.get("document")
        if not isinstance(title, str) or not isinstance(document, str | None):
            raise DocumentError(f'{file}: "title" and "document" of {identifier!r} must be strings')
        passages.append(Passage(identifier, f"{title} {row['text']}".strip(), document))
    _check_order(file, passages)
    return passages


def _check_order(file: Path, passages: list[Passage]) -> None:
    """Chunks of one document must be neighbours: their order is the order of reading."""
    seen: set[str] = set()
    before = None
    for passage in passages:
        if passage.document is not None and passage.document != before and passage.document in seen:
            raise DocumentError(f"{file}: rows of document {passage.document!r} are not next to each other")
        before = passage.document
        if before is not None:
            seen.add(before)


def _rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id, row) with ids checked to be unique strings and texts to be strings."""
    seen: set[str] = set()
    for where, row in read_json_lines(file):
        identifier = row.get("_id")
        if isinstance(identifier, bool) or not isinstance(identifier, str | int):
            raise DocumentError(f'{where} must have "_id", a string or a whole number, got {identifier!r}')
        if not isinstance(row.get("text"), str):
            raise DocumentError(f'{where} must have a string "text"')
        if str(identifier) in seen:
            raise DocumentError(f"{where}: _id {identifier!r} comes twice")
        seen.add(str(identifier))
        yield str(identifier), row


def _qrels_file(folder: Path, split: str) -> Path:
    names = (f"qrels/{split}.tsv", f"qrels/{split}.jsonl", "qrels.tsv", "qrels.jsonl")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DocumentError(f"{folder} has none of {', '.join(names)}: judgements of split {split!r} are missing")


def read_judgements(file: Path) -> Iterator[tuple[str, str, str, int]]:
    """(where, query id, passage id, grade) of each line of a .tsv or .jsonl file of qrels.

    Raises:
        DocumentError: the file cannot be read, or a line is malformed.
    """
    if file.suffix == ".jsonl":
        for where, row in read_json_lines(file):
            yield _judgement(where, [row.get("query-id"), row.get("corpus-id"), row.get("score", 1)])
        return
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DocumentError(f"{file} is not UTF-8 (byte {error.start}): convert it, e.g. with iconv") from error
    except OSError as error:
        raise DocumentError(f"{file} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        fields = line.split("\t")
        if line.strip() and fields[0] != QRELS_HEADER:
            yield _judgement(f"{file}, line {number}", fields)


def _judgement(where: str, fields: list[Any]) -> tuple[str, str, str, int]:
    try:
        query, passage, grade = fields
        return where, str(query), str(passage), int(float(grade))
    except (TypeError, ValueError):
        raise DocumentError(f"{where} must be query id, passage id and a grade, got {fields!r}") from None
