"""Rows of .csv, .tsv and .parquet files, one at a time: a column of text, one of ids, the others as metadata."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import DocumentError
from .json_lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

DELIMITERS = ",;\t|"
BATCH_ROWS = 256
BUFFER_BYTES = 2**20
"""Of a column. Without it a whole row group is loaded, and many files have but one."""
TEXT, ID = "text", "id"


@dataclass(frozen=True)
class TableColumns:
    """Which columns hold the text and the id of a row."""

    text: str = TEXT
    id: str | None = None
    """None: the column `id`, where there is one."""


@dataclass(frozen=True)
class Row:
    """A row, with its number from 1 on."""

    number: int
    text: str
    id: str | None
    metadata: Mapping[str, Any]


def delimited_rows(file: Path, columns: TableColumns, on_bytes: Callable[[int], None]) -> Iterator[Row | DocumentError]:
    """The rows of a .csv or .tsv file, or an error in place of one. Cells are text; empty ones are left out.

    `on_bytes` is told how far the file is read.

    Raises:
        DocumentError: the file cannot be read, or lacks a column.
    """
    with file.open("rb") as content:
        lines = _lines(content, file, on_bytes)
        header = next(lines, "")
        delimiter = "\t" if file.suffix.lower() == ".tsv" else max(DELIMITERS, key=header.count)
        csv.field_size_limit(max(MAX_LINE_BYTES, csv.field_size_limit()))
        reader = csv.DictReader(_chained(header, lines), delimiter=delimiter, strict=True)
        names = list(reader.fieldnames or ())
        text_name, id_name = _chosen(file, names, columns)
        number = 0
        while True:
            number += 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield DocumentError(
                    f"{file}, row {number} is no CSV ({error}), so this row and those after it are not read: mend its "
                    "quotes, or save the file again"
                )
                return
            if cells is None:
                return
            if None in cells or None in cells.values():
                yield DocumentError(
                    f"{file}, row {number} has another number of cells than the header's {len(names)}: quote cells "
                    f"that hold {delimiter!r} or line breaks"
                )
                continue
            others = {name: cell for name, cell in cells.items() if cell and name not in (text_name, id_name)}
            yield Row(number, cells[text_name], cells[id_name] if id_name else None, others)


def _chained(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _lines(content: BinaryIO, file: Path, on_bytes: Callable[[int], None]) -> Iterator[str]:
    read = number = 0
    while line := content.readline(MAX_LINE_BYTES + 1):
        number += 1
        read += len(line)
        on_bytes(read)
        if len(line) > MAX_LINE_BYTES:
            raise DocumentError(f"{file}, line {number} is over {MAX_LINE_BYTES // 2**20} MiB: split the document")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DocumentError(
                f"{file}, line {number} is not UTF-8 (byte {error.start}): convert the file, e.g. with iconv"
            ) from error


def _chosen(file: Path, names: list[str], columns: TableColumns) -> tuple[str, str | None]:
    """The names of the columns of text and id."""
    if len(set(names)) < len(names):
        raise DocumentError(f"{file} has two columns of one name, its columns are {', '.join(names)}: rename one")
    for name, option in ((columns.text, "--text-column"), (columns.id, "--id-column")):
        if name is not None and name not in names:
            raise DocumentError(
                f"{file} has no column {name!r}, its columns are {', '.join(names) or 'none'}: name another one with "
                f"{option}, or leave the file out with --exclude"
            )
    return columns.text, columns.id or (ID if ID in names else None)


def column_rows(file: Path, columns: TableColumns, on_bytes: Callable[[int], None]) -> Iterator[Row | DocumentError]:
    """The rows of a .parquet file. Columns of text, numbers, booleans, times and lists of text are read, no others.

    Raises:
        DocumentError: the file cannot be read, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size, number = file.stat().st_size, 0
    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES) as table:
            text_name, id_name = _chosen(file, table.schema_arrow.names, columns)
            _check_text(file, table, text_name)
            kept = [field.name for field in table.schema_arrow if _is_kept(field.type) or field.name == id_name]
            for batch in table.iter_batches(BATCH_ROWS, columns=kept, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    identifier = values.pop(id_name) if id_name else None
                    text = values.pop(text_name) or ""
                    others = {name: _plain(value) for name, value in values.items() if value is not None}
                    yield Row(number, text, None if identifier is None else str(identifier), others)
                on_bytes(size * number // table.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise DocumentError(f"{file} cannot be read as Parquet ({error!s:.200}): copy or write it again") from error


def _check_text(file: Path, table: pq.ParquetFile, name: str) -> None:
    kind = table.schema_arrow.field(name).type
    if not _is_text(kind):
        raise DocumentError(f"{file}: column {name!r} holds {kind}, not text: name another one with --text-column")


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    if kinds.is_dictionary(kind):
        kind = kind.value_type
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _is_kept(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return _is_text(kind.value_type)
    tests = (
        _is_text,
        kinds.is_integer,
        kinds.is_floating,
        kinds.is_decimal,
        kinds.is_boolean,
        kinds.is_date,
        kinds.is_timestamp,
        kinds.is_time,
    )
    return any(test(kind) for test in tests)


def _plain(value: Any) -> Any:
    """As JSON: times as ISO 8601 has them, exact decimals as text, no NaN."""
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
