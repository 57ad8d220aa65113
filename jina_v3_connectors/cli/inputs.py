"""What `jina-v3 ingest` reads: files, folders and addresses, and how far it is."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .terminal import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..documents import Document
    from ..errors import DocumentError
    from ..files.folders import DocumentReader
    from ..ingestion.report import IngestReport

_F = TypeVar("_F", bound=Callable[..., Any])

INPUT_OPTIONS = (
    click.option(
        "--glob",
        "globs",
        multiple=True,
        metavar="PATTERN",
        help="Read only such files, as '**/*.html' or '*.md'; may be given several times.",
    ),
    click.option(
        "--exclude",
        "excludes",
        multiple=True,
        metavar="PATTERN",
        help="Leave out such files and folders, as 'drafts' or '*.csv'; may be given several times.",
    ),
    click.option(
        "--text-column", default="text", show_default=True, help="Column of the text in .csv, .tsv and .parquet."
    ),
    click.option("--id-column", help="Column of the ids in them.  [default: id, or the path and the row's number]"),
)


@dataclass(frozen=True)
class Inputs:
    """What was typed."""

    paths: tuple[str, ...]
    globs: tuple[str, ...]
    excludes: tuple[str, ...]
    text_column: str
    id_column: str | None

    @contextmanager
    def opened(self) -> Iterator[OpenInputs]:
        """Find the files and load the pages.

        Raises:
            DocumentError: a path is nothing that can be read.
            MissingExtra: what reads one of the files is not installed.
        """
        from ..files.finding import Selection, files_or_errors
        from ..files.folders import DocumentReader
        from ..files.formats import check_packages
        from ..files.tables import TableColumns
        from ..files.web import fetch, is_address

        with TemporaryDirectory(prefix="jina-v3-") as folder:
            local = [Path(path) for path in self.paths if not is_address(path)]
            files = files_or_errors(local, Selection(self.globs, self.excludes)) if local else []
            parts = [Part(file) if isinstance(file, Path) else file for file in files]
            addresses = filter(is_address, dict.fromkeys(self.paths))
            parts += [_part_or_error(fetch, address, Path(folder)) for address in addresses]
            for part in parts:
                if isinstance(part, Part):
                    check_packages(part.file)
            with DocumentReader(TableColumns(self.text_column, self.id_column)) as reader:
                yield OpenInputs(parts, reader)


@dataclass(frozen=True)
class Part:
    """A file to read. One from the web has the address as its name."""

    file: Path
    source: str | None = None
    charset: str | None = None

    def size(self) -> int:
        """Its bytes now, or 0 if it has gone."""
        try:
            return self.file.stat().st_size
        except OSError:
            return 0


def _part_or_error(fetch: Callable[[str, Path], Any], path: str, folder: Path) -> Part | DocumentError:
    from ..errors import DocumentError

    try:
        fetched = fetch(path, folder)
    except DocumentError as error:
        return error
    return Part(fetched.file, fetched.source, fetched.charset)


class OpenInputs:
    """Files that are there to be read."""

    def __init__(self, parts: list[Part | DocumentError], reader: DocumentReader) -> None:
        self._parts, self._reader = parts, reader

    def documents(self, meter: Meter, check: Callable[[], None]) -> Iterator[Document | DocumentError]:
        """All documents, and errors in place of those that cannot be read.

        `check` is called before each, and may raise.
        """
        files = [part for part in self._parts if isinstance(part, Part)]
        meter.begin(sum(part.size() for part in files))
        number = 0
        for part in self._parts:
            if not isinstance(part, Part):
                meter.read(0)
                yield part
                continue
            number += 1
            meter.describe(f"{part.source or part.file.name} ({number:,} of {len(files):,})")
            size, position = part.size(), Position()
            for document in self._reader.documents_or_errors(part.file, part.source, part.charset, position.move):
                check()
                meter.read(min(size, position.now) if position.now else size)
                yield document
            meter.end_of_file(size)


class Position:
    """How far a file is read, in bytes. 0 where nobody tells."""

    now = 0

    def move(self, position: int) -> None:
        self.now = position


class Meter:
    """Moves a bar by the bytes of the documents that are done with, in the order of reading, or nearly in it.

    The report of the ingest says how many they are, and how much of one is encoded so far. Any thread may show it.
    """

    def __init__(self, progress: Progress, bar: TaskID) -> None:
        self._progress, self._bar = progress, bar
        self._lock = threading.Lock()
        self._ends: deque[tuple[int, str]] = deque()
        """Where the documents end that are read and not done with, in bytes of all files; what each is a part of."""
        self._done = self._before = self._total = 0
        self._last_end = 0
        self._reading = ""

    def begin(self, total: int) -> None:
        """So many bytes will be read."""
        self._total = total
        self._progress.update(self._bar, total=total)

    def describe(self, name: str) -> None:
        """What is read now. It is shown when all that was read before is done with."""
        with self._lock:
            self._reading = name
            is_next = not self._ends
        if is_next:
            self._progress.update(self._bar, description=_description(name))

    def read(self, position: int) -> None:
        """One more document is read, up to this position in the current file."""
        with self._lock:
            self._ends.append((self._before + position, self._reading))

    def end_of_file(self, size: int) -> None:
        """The next file begins."""
        self._before += size

    def show(self, report: IngestReport) -> None:
        """Move the bar to where the ingest is."""
        with self._lock:
            while self._ends and self._done + 1 <= report.handled + TOLERANCE:
                self._done += 1
                self._last_end, _ = self._ends.popleft()
            following, name = self._ends[0] if self._ends else (self._last_end, self._reading)
            part = max(0.0, report.handled - self._done)
            position = self._last_end + part * (following - self._last_end)
        rate = f"{report.chunks:,} chunks"
        self._progress.update(self._bar, completed=position, description=_description(name), rate=rate)

    def finish(self) -> None:
        """All is done, what came after the last document too."""
        self._progress.update(self._bar, completed=self._total)


def _description(name: str) -> str:
    from rich.markup import escape

    return f"ingesting {escape(printable(name))}".rstrip()


TOLERANCE = 1e-6
"""Parts of a document are added up, and rounded."""


def input_options(function: _F) -> _F:
    """PATH…, --glob, --exclude, --text-column, --id-column; the command gets them as `inputs`."""

    @wraps(function)
    def command(**values: Any) -> Any:
        names = ("paths", "globs", "excludes", "text_column", "id_column")
        return function(inputs=Inputs(**{name: values.pop(name) for name in names}), **values)

    for option in reversed(INPUT_OPTIONS):
        command = option(command)
    return click.argument("paths", nargs=-1, required=True, metavar="PATH_OR_URL…")(command)  # type: ignore[return-value]
