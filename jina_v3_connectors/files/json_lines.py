"""JSON Lines read one object at a time; every error names the file and the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DocumentError

MAX_LINE_BYTES = 64 * 2**20


def read_json_lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file, line n", object) of each line that is not blank.

    Raises:
        DocumentError: the file cannot be read or is not UTF-8; a line is too long, or no JSON object.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), 1):
                where = f"{file}, line {number}"
                if len(line) > MAX_LINE_BYTES:
                    raise DocumentError(f"{where} is over {MAX_LINE_BYTES // 2**20} MiB: split the document")
                if line.strip():
                    yield where, _parse(line, where)
    except OSError as error:
        raise DocumentError(f"{file} cannot be read: {error.strerror}") from error


def _parse(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"{where} is not UTF-8 (byte {error.start}): convert the file, e.g. with iconv") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DocumentError(f"{where} must be a JSON object, got {type(row).__name__}")
    return row
