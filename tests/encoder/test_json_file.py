from __future__ import annotations

from pathlib import Path

import pytest

from jina_v3_encoder.errors import CheckpointError, CheckpointNotFound
from jina_v3_encoder.json_file import read_object


def test_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"ä": 1}', encoding="utf-8")
    assert read_object(path) == {"ä": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not readable JSON"),
        (b"{", "not readable JSON"),
        (b"\xff\xfe", "not readable JSON"),
        (b"[" * 100_000, "not readable JSON"),
        (b"[1]", "holds list, expected a JSON object"),
        (b"null", "holds NoneType"),
        (b"3", "holds int"),
    ],
)
def test_everything_else_names_the_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        read_object(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound, match="does not exist; look elsewhere"):
        read_object(tmp_path / "a.json", if_missing="; look elsewhere")
    with pytest.raises(CheckpointError, match="not readable"):
        read_object(tmp_path)
