"""Reads documents from files and folders: .txt, .md and .jsonl, one document at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jina_v3_encoder.json_file import is_special

from ..documents import Document
from ..errors import DocumentError
from .json_lines import rows_or_errors

SUFFIXES = (".txt", ".md", ".jsonl")


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The readable files among `paths` and below the folders among them, sorted within each folder.

    Raises:
        DocumentError: a path does not exist, is a pipe or a device, has another suffix, or a folder holds no such file.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            readable = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not readable:
                raise DocumentError(f"{path} holds no {', '.join(SUFFIXES)} file")
            files += readable
        elif not path.exists():
            raise DocumentError(f"{path} does not exist")
        elif is_special(path):
            raise DocumentError(f"{path} is no regular file: write its content to a file first")
        elif path.suffix.lower() not in SUFFIXES:
            raise DocumentError(f"{path} is not one of {', '.join(SUFFIXES)}; convert it to one of these first")
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def read_documents(file: Path) -> Iterator[Document]:
    """One document from .txt or .md, with the path as id; one per line from .jsonl: {"id", "text", "metadata"}.

    In .jsonl only `text` is required; the id is then the path and line number.

    Raises:
        DocumentError: unreadable file, not UTF-8, or a malformed line; the message names file and line.
    """
    for document in documents_or_errors(file):
        if isinstance(document, DocumentError):
            raise document
        yield document


def documents_or_errors(file: Path) -> Iterator[Document | DocumentError]:
    """As `read_documents`, with the error in place of a document that cannot be read. `ingest` takes both."""
    if file.suffix.lower() == ".jsonl":
        for where, row in rows_or_errors(file):
            yield row if isinstance(row, DocumentError) else _from_row(row, file, where)
    else:
        yield _from_file(file)


def _from_file(file: Path) -> Document | DocumentError:
    source = file.as_posix()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        unreadable = DocumentError(f"{file} is not UTF-8 (byte {error.start}): convert it, for example with iconv")
    except OSError as error:
        unreadable = DocumentError(f"{file} cannot be read: {error.strerror}")
    else:
        return Document(source, text, {"source": source}, "markdown" if file.suffix.lower() == ".md" else "text")
    unreadable.document_id = source
    return unreadable


def _from_row(row: dict[str, Any], file: Path, where: str) -> Document | DocumentError:
    if not isinstance(row.get("text"), str):
        return DocumentError(f'{where} must be an object with a string "text", and optionally "id" and "metadata"')
    number = where.rpartition(" ")[2]
    identifier, metadata = row.get("id", f"{file.as_posix()}:{number}"), row.get("metadata", {})
    if not isinstance(identifier, str | int) or isinstance(identifier, bool):
        return DocumentError(f'{where}: "id" must be a string or a whole number, got {identifier!r}')
    if not isinstance(metadata, dict):
        return DocumentError(f'{where}: "metadata" must be an object, got {type(metadata).__name__}')
    return Document(str(identifier), row["text"], {"source": file.as_posix(), **metadata})
