"""Rows of tables: exact cells, chosen columns, errors that name the row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jina_v3_connectors.documents import Document
from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files.folders import DocumentReader
from jina_v3_connectors.files.tables import TableColumns


def documents(file: Path, columns: TableColumns | None = None, positions: list[int] | None = None) -> list[Document]:
    """All rows. An error is raised."""
    rows = []
    for document in documents_or_errors(file, columns, positions):
        if isinstance(document, DocumentError):
            raise document
        rows.append(document)
    return rows


def documents_or_errors(
    file: Path, columns: TableColumns | None = None, positions: list[int] | None = None
) -> Iterator[Document | DocumentError]:
    on_bytes = (lambda _: None) if positions is None else positions.append
    with DocumentReader(columns or TableColumns()) as reader:
        yield from reader.documents_or_errors(file, on_bytes=on_bytes)


def write(file: Path, content: str, encoding: str = "utf-8") -> Path:
    file.write_bytes(content.encode(encoding))
    return file


def test_rows_are_documents_and_other_columns_metadata(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv", 'id,text,year,empty\r\n7,"Hello, ""you""\nthere",007,\r\n\r\nb,Plain é,x,y\r\n', "utf-8-sig"
    )
    source = file.as_posix()
    assert documents(file) == [
        Document("7", 'Hello, "you"\nthere', {"source": source, "year": "007"}),
        Document("b", "Plain é", {"source": source, "year": "x", "empty": "y"}),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "body;key\nOne;k"),
        ("a.tsv", "body\tkey\nOne\tk"),
        ("a.csv", "body|key\nOne|k"),
        ("A.CSV", "key,body\nk,One"),
    ],
)
def test_columns_are_named_and_delimiters_seen(tmp_path: Path, name: str, content: str) -> None:
    (row,) = documents(write(tmp_path / name, content), TableColumns("body", "key"))
    assert (row.id, row.text) == ("k", "One")
    (row,) = documents(tmp_path / name, TableColumns("body"))
    assert (row.id, row.metadata["key"]) == (f"{tmp_path / name}:1", "k")


def test_rows_that_are_no_rows_are_named_and_others_read(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", 'text,n\none,1\ntwo\nthree,3,4\nfour,4\n"five,5\nsix,6\n')
    rows = list(documents_or_errors(file))
    assert [row.text for row in rows if isinstance(row, Document)] == ["one", "four"]
    errors = [str(row).removeprefix(f"{file}, ") for row in rows if isinstance(row, DocumentError)]
    remedy = "has another number of cells than the header's 2: quote cells that hold ',' or line breaks"
    assert errors[:2] == [f"row 2 {remedy}", f"row 3 {remedy}"]
    assert errors[2:] == [
        "row 5 is no CSV (unexpected end of data), so this row and those after it are not read: mend its quotes, or "
        "save the file again"
    ]


BAD = {
    "empty": ("", "has no column 'text', its columns are none: name another one with --text-column"),
    "no column": (
        "a,b\n1,2",
        "has no column 'text', its columns are a, b: name another one with --text-column, or leave",
    ),
    "twice": ("text,text\n1,2", "has two columns of one name, its columns are text, text: rename one"),
}


@pytest.mark.parametrize("name", BAD)
def test_tables_without_the_column(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    with pytest.raises(DocumentError, match=message):
        documents(write(tmp_path / "a.csv", content))


def test_another_id_column_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        DocumentError, match="has no column 'key', its columns are text: name another one with --id-column"
    ):
        documents(write(tmp_path / "a.csv", "text\na"), TableColumns(id="key"))


def test_other_encodings_and_long_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DocumentError, match=r"a\.csv, line 2 is not UTF-8 \(byte 3\): convert the file"):
        documents(write(tmp_path / "a.csv", "text\ncafé\n", "latin-1"))
    (row,) = documents(write(tmp_path / "b.csv", "text\n" + "x" * 300_000))
    assert len(row.text) == 300_000, "longer than Python's own limit of a cell"
    monkeypatch.setattr("jina_v3_connectors.files.tables.MAX_LINE_BYTES", 2**20)
    with pytest.raises(DocumentError, match="line 2 is over 1 MiB: split the document"):
        documents(write(tmp_path / "c.csv", "text\n" + "x" * (2**20 + 1)))


def test_how_far_a_table_is_read(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "text\n" + "one\n" * 100)
    positions: list[int] = []
    documents(file, positions=positions)
    assert positions == sorted(positions)
    assert positions[-1] == file.stat().st_size
    frame: dict[str, Any] = {"text": ["a"] * 1000}
    pq.write_table(pa.table(frame), tmp_path / "a.parquet")
    positions.clear()
    documents(tmp_path / "a.parquet", positions=positions)
    assert len(positions) > 1
    assert positions == sorted(positions)
    assert positions[-1] == (tmp_path / "a.parquet").stat().st_size


def test_parquet(tmp_path: Path) -> None:
    frame: dict[str, Any] = {
        "id": [1, 2],
        "text": pa.array(["One", None]).dictionary_encode(),
        "n": [3, None],
        "x": [2.5, float("nan")],
        "yes": [True, False],
        "day": [date(2026, 1, 2), None],
        "at": [datetime(2026, 1, 2, 3, tzinfo=UTC), None],
        "price": [Decimal("1.10"), None],
        "tags": [["a", "b"], []],
        "picture": [b"\x00", b""],
        "vector": [[0.5, 0.5], []],
    }
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table(frame), file)
    first, second = documents(file)
    assert (first.id, first.text, second.id, second.text) == ("1", "One", "2", "")
    assert first.metadata == {
        "source": file.as_posix(),
        "n": 3,
        "x": 2.5,
        "yes": True,
        "day": "2026-01-02",
        "at": "2026-01-02T03:00:00+00:00",
        "price": "1.10",
        "tags": ["a", "b"],
    }
    assert second.metadata == {"source": file.as_posix(), "x": None, "yes": False, "tags": []}
    (named, _) = documents(file, TableColumns("text", "n"))
    assert (named.id, named.metadata["id"]) == ("3", 1)


def test_parquet_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    columns: dict[str, Any] = {"text": [1, 2], "b": ["x", "y"]}
    pq.write_table(pa.table(columns), file)
    with pytest.raises(
        DocumentError, match=r"column 'text' holds int64, not text: name another one with --text-column"
    ):
        documents(file)
    with pytest.raises(DocumentError, match="has no column 'c', its columns are text, b"):
        documents(file, TableColumns("c"))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DocumentError, match=r"a\.parquet cannot be read as Parquet \(.*\): copy or write it again"):
        documents(file)
