"""The kinds of files that are read, by the ends of their names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from jina_v3_encoder.errors import MissingExtra

from ..documents import TextFormat

PLAIN: dict[str, TextFormat] = {".txt": "text", ".md": "markdown"}
LINES = ".jsonl"
WHOLE = (".html", ".htm", ".xhtml", ".pdf", ".docx", ".pptx", ".epub")
"""Files of which each is one document, read by other libraries in a process of its own."""
DELIMITED = (".csv", ".tsv")
COLUMNS = ".parquet"
SUFFIXES = (*PLAIN, LINES, *WHOLE, *DELIMITED, COLUMNS)
NEEDED = {
    ".pdf": ("pypdfium2",),
    ".docx": ("mammoth", "selectolax", "defusedxml"),
    ".pptx": ("defusedxml",),
    ".epub": ("defusedxml", "selectolax"),
    ".parquet": ("pyarrow",),
    **dict.fromkeys((".html", ".htm", ".xhtml"), ("selectolax",)),
}
"""Packages of the extra `files` that a kind needs."""


def check_packages(file: Path) -> None:
    """Check that what reads a file is installed.

    Raises:
        MissingExtra: it is not.
    """
    for package in NEEDED.get(file.suffix.lower(), ()):
        if find_spec(package) is None:
            raise MissingExtra(f"{package}, which reads {file.suffix.lower()} files,", "files")
