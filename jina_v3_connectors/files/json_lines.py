"""JSON Lines read one object at a time; every error names the file and the line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DocumentError

MAX_LINE_BYTES = 64 * 2**20


def read_json_lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file, line n", object) of each line that is not blank.

    Raises:
        DocumentError: the file cannot be read or is not UTF-8; a line is too long, or no JSON object.
    """
    for where, row in rows_or_errors(file):
        if isinstance(row, DocumentError):
            raise row
        yield where, row


def rows_or_errors(
    file: Path, on_bytes: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[str, dict[str, Any] | DocumentError]]:
    """As `read_json_lines`, with the error in place of an object that cannot be read.

    `on_bytes` is told how far the file is read.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(_lines(lines), 1):
                where = f"{file}, line {number}"
                on_bytes(lines.tell())
                if line.strip():
                    yield where, _row_or_error(line, where)
    except OSError as error:
        yield str(file), DocumentError(f"{file} cannot be read: {error.strerror}")


def _lines(lines: BinaryIO) -> Iterator[bytes]:
    """Each line. One that is too long is cut just past the limit, and its rest is passed over."""
    while line := lines.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = lines.readline(MAX_LINE_BYTES + 1)


def _row_or_error(line: bytes, where: str) -> dict[str, Any] | DocumentError:
    try:
        return parse_line(line, where)
    except DocumentError as error:
        return error


def parse_line(line: bytes, where: str) -> dict[str, Any]:
    """The object of a line. `where` names it in errors.

    Raises:
        DocumentError: it is too long, or no JSON object.
    """
    if len(line) > MAX_LINE_BYTES:
        raise DocumentError(f"{where} is over {MAX_LINE_BYTES // 2**20} MiB: split the document")
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"{where} is not UTF-8 (byte {error.start}): convert the file, e.g. with iconv") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DocumentError(f"{where} must be a JSON object, got {type(row).__name__}")
    return row
