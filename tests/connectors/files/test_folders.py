from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_v3_connectors.documents import Document
from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files.folders import documents_or_errors, find_files, read_documents


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "deep/c.jsonl", "image.png", "deep/D.TXT"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    names = [path.relative_to(tmp_path).as_posix() for path in find_files([tmp_path])]
    assert names == ["a.md", "b.txt", "deep/D.TXT", "deep/c.jsonl"]
    assert find_files([tmp_path / "b.txt", tmp_path / "b.txt"]) == [tmp_path / "b.txt"]


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_text("x")
    with pytest.raises(DocumentError, match="does not exist"):
        find_files([tmp_path / "nothing.txt"])
    with pytest.raises(DocumentError, match=r"image\.png is not one of \.txt, \.md, \.jsonl"):
        find_files([tmp_path / "image.png"])
    with pytest.raises(DocumentError, match=r"holds no \.txt"):
        find_files([tmp_path])


def test_text_and_markdown(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("\ufeff# Héllo", encoding="utf-8")
    (document,) = read_documents(path)
    assert document == Document(path.as_posix(), "# Héllo", {"source": path.as_posix()}, "markdown")
    path.rename(tmp_path / "a.txt")
    assert next(read_documents(tmp_path / "a.txt")).format == "text"


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"id": "x", "text": "one", "metadata": {"lang": "de", "source": "web"}},
        {"text": "two"},
        {"id": 7, "text": ""},
    ]
    path.write_text("\n\n".join(json.dumps(row) for row in rows))
    first, second, third = read_documents(path)
    assert first == Document("x", "one", {"source": "web", "lang": "de"})
    assert (second.id, second.metadata) == (f"{path.as_posix()}:3", {"source": path.as_posix()})
    assert (third.id, third.text) == ("7", "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "must be a JSON object, got list"),
        ("{}", 'string "text"'),
        ('{"text": 3}', 'string "text"'),
        ('{"text": "a", "id": null}', '"id" must be a string'),
        ('{"text": "a", "id": true}', '"id" must be a string'),
        ('{"text": "a", "id": {}}', '"id" must be a string'),
        ('{"text": "a", "metadata": []}', '"metadata" must be an object'),
        ("[" * 100_000, "line 2"),
    ],
)
def test_malformed_lines_are_located(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' + line)
    documents = read_documents(path)
    next(documents)
    with pytest.raises(DocumentError, match=words):
        next(documents)


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_files_that_are_not_utf8(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b'{"text": "caf\xe9"}')
    with pytest.raises(DocumentError, match=r"not UTF-8 \(byte 13\)"):
        list(read_documents(path))


def test_one_line_at_a_time(tmp_path: Path) -> None:
    """A broken line far down does not keep the ones before it from being read."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' * 1000 + "broken")
    documents = read_documents(path)
    assert sum(1 for _ in zip(range(1000), documents, strict=False)) == 1000


def test_overlong_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.json_lines.MAX_LINE_BYTES", 2**20)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x" * 2**20}))
    with pytest.raises(DocumentError, match="line 1 is over 1 MiB"):
        list(read_documents(path))


def test_after_an_error_the_next_line_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.json_lines.MAX_LINE_BYTES", 100)
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\nbroken\n{}\n' + "x" * 350 + '\n{"text": "five"}\n')
    first, *errors, last = documents_or_errors(path)
    assert (first, last) == (
        Document(f"{path}:1", "one", {"source": str(path)}),
        Document(f"{path}:5", "five", {"source": str(path)}),
    )
    said = [str(error) for error in errors if isinstance(error, DocumentError)]
    assert [message.partition(f"{path}, ")[2].split(":")[0] for message in said] == [
        "line 2 is not JSON",
        'line 3 must be an object with a string "text", and optionally "id" and "metadata"',
        "line 4 is over 0 MiB",
    ]


def test_a_file_that_cannot_be_read_names_its_document(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"caf\xe9")
    (error,) = documents_or_errors(path)
    assert isinstance(error, DocumentError)
    assert (str(error).split(":")[0], error.document_id) == (f"{path} is not UTF-8 (byte 3)", path.as_posix())
