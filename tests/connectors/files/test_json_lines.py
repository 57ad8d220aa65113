"""One object at a time, and every fault with its file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files import json_lines
from jina_v3_connectors.files.json_lines import read_json_lines


def write(folder: Path, content: bytes) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(content)
    return path


def test_objects_with_their_place(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"a": 1}\n\n  \r\n{"b": "\xc3\xa9"}')
    assert list(read_json_lines(path)) == [(f"{path}, line 1", {"a": 1}), (f"{path}, line 4", {"b": "é"})]


def test_a_byte_order_mark_is_no_part_of_the_data(tmp_path: Path) -> None:
    ((_, row),) = read_json_lines(write(tmp_path, b'\xef\xbb\xbf{"a": 1}\n'))
    assert row == {"a": 1}


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert list(read_json_lines(write(tmp_path, b""))) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 2 is not JSON"),
        (b"{'a': 1}", "line 2 is not JSON"),
        (b"[" * 100_000, "line 2"),
        (b"[1]", "line 2 must be a JSON object, got list"),
        (b"null", "line 2 must be a JSON object, got NoneType"),
        (b'"text"', "line 2 must be a JSON object, got str"),
        (b'{"a": "\xff"}', r"line 2 is not UTF-8 \(byte 7\)"),
    ],
)
def test_faults(tmp_path: Path, line: bytes, message: str) -> None:
    rows = read_json_lines(write(tmp_path, b'{"fine": true}\n' + line + b"\n"))
    assert next(rows)[1] == {"fine": True}, "what comes before a fault is read"
    with pytest.raises(DocumentError, match=message):
        next(rows)


def test_the_limit_on_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 2**20)
    row = json.dumps({"a": "x" * (2**20 - 9)}).encode()
    assert len(row) == 2**20
    assert len(list(read_json_lines(write(tmp_path, row)))) == 1, "the limit itself is allowed"
    with pytest.raises(DocumentError, match="line 1 is over 1 MiB: split the document"):
        list(read_json_lines(write(tmp_path, row + b" ")))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read: No such file"):
        list(read_json_lines(tmp_path / "absent.jsonl"))
    with pytest.raises(DocumentError, match="cannot be read: Is a directory"):
        list(read_json_lines(tmp_path))
