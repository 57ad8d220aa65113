"""Documents from files, one at a time: a whole document, or one for each line or row. `formats.py` lists the kinds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..documents import Document
from ..errors import DocumentError
from .finding import find_files
from .formats import COLUMNS, DELIMITED, LINES, PLAIN, check_packages
from .json_lines import rows_or_errors
from .reader import Reader
from .tables import Row, TableColumns, column_rows, delimited_rows

__all__ = ["DocumentReader", "documents_or_errors", "find_files", "read_documents"]


def read_documents(*files: Path) -> Iterator[Document]:
    """One document from most files, with the path as id; one for each line of .jsonl and each row of a table.

    A line is {"id", "text", "metadata"}, of which only `text` is required. The id is then the path and line number.

    Raises:
        DocumentError: unreadable file, not UTF-8, or a malformed line; the message names file and line.
        MissingExtra: what reads this kind of file is not installed.
    """
    with DocumentReader() as reader:
        for file in files:
            for document in reader.documents_or_errors(file):
                if isinstance(document, DocumentError):
                    raise document
                yield document


def documents_or_errors(file: Path) -> Iterator[Document | DocumentError]:
    """As `read_documents`, with the error in place of a document that cannot be read. `ingest` takes both."""
    with DocumentReader() as reader:
        yield from reader.documents_or_errors(file)


class DocumentReader:
    """Reads many files, with one process for other people's formats. Close it, or use it in `with`."""

    def __init__(self, columns: TableColumns = TableColumns()) -> None:  # noqa: B008
        """`columns` are those of tables."""
        self._columns = columns
        self._reader = Reader()

    def documents_or_errors(
        self,
        file: Path,
        source: str | None = None,
        charset: str | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Document | DocumentError]:
        """The documents of a file, or the error in place of one.

        `source` is its name in ids and metadata, by default its path. `charset` is what a server said of it. `on_bytes`
        is told how far it is read.

        Raises:
            MissingExtra: what reads this kind of file is not installed.
        """
        check_packages(file)
        source = source or file.as_posix()
        suffix = file.suffix.lower()
        try:
            if suffix == LINES:
                for where, row in rows_or_errors(file, on_bytes):
                    yield row if isinstance(row, DocumentError) else _from_object(row, source, where)
            elif suffix in DELIMITED or suffix == COLUMNS:
                rows = column_rows if suffix == COLUMNS else delimited_rows
                for table_row in rows(file, self._columns, on_bytes):
                    yield table_row if isinstance(table_row, DocumentError) else _from_row(table_row, source)
            else:
                yield self._plain(file, source) if suffix in PLAIN else self._whole(file, source, charset)
        except DocumentError as error:
            yield error
        except OSError as error:
            yield DocumentError(f"{file} cannot be read: {error.strerror}")

    def close(self) -> None:
        """End the process."""
        self._reader.close()

    def _plain(self, file: Path, source: str) -> Document | DocumentError:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            return _unreadable(source, f"is not UTF-8 (byte {error.start}): convert it, for example with iconv")
        except OSError as error:
            return _unreadable(source, f"cannot be read: {error.strerror}")
        return Document(source, text, {"source": source}, PLAIN[file.suffix.lower()])

    def _whole(self, file: Path, source: str, charset: str | None) -> Document | DocumentError:
        try:
            content = self._reader.read(file, charset)
        except DocumentError as error:
            return _unreadable(source, str(error))
        if content.remark:
            warnings.warn(f"{source}: {content.remark}", stacklevel=2)
        return Document(source, content.text, {"source": source, **content.metadata}, marks=content.marks)

    def __enter__(self) -> DocumentReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unreadable(source: str, reason: str) -> DocumentError:
    error = DocumentError(f"{source} {reason}")
    error.document_id = source
    return error


def _from_object(row: dict[str, Any], source: str, where: str) -> Document | DocumentError:
    if not isinstance(row.get("text"), str):
        return DocumentError(f'{where} must be an object with a string "text", and optionally "id" and "metadata"')
    number = where.rpartition(" ")[2]
    identifier, metadata = row.get("id", f"{source}:{number}"), row.get("metadata", {})
    if not isinstance(identifier, str | int) or isinstance(identifier, bool):
        return DocumentError(f'{where}: "id" must be a string or a whole number, got {identifier!r}')
    if not isinstance(metadata, dict):
        return DocumentError(f'{where}: "metadata" must be an object, got {type(metadata).__name__}')
    return Document(str(identifier), row["text"], {"source": source, **metadata})


def _from_row(row: Row, source: str) -> Document:
    return Document(row.id or f"{source}:{row.number}", row.text, {"source": source, **row.metadata})
