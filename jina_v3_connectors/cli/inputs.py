"""What `jina-v3 ingest` reads: files, folders and addresses, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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

    def documents(
        self, progress: Progress, bar: TaskID, check: Callable[[], None]
    ) -> Iterator[Document | DocumentError]:
        """All documents, and errors in place of those that cannot be read. The bar moves by the bytes that are read.

        `check` is called before each document, and may raise.
        """
        meter = Meter(progress, bar, [part for part in self._parts if isinstance(part, Part)])
        for part in self._parts:
            if not isinstance(part, Part):
                yield part
                continue
            meter.start(part)
            for document in self._reader.documents_or_errors(part.file, part.source, part.charset, meter.at):
                check()
                yield document
                meter.show()
            meter.finish()


class Meter:
    """Moves a bar by bytes: those of finished files, and those that are read of the current one."""

    def __init__(self, progress: Progress, bar: TaskID, parts: Sequence[Part]) -> None:
        self._progress, self._bar, self._files = progress, bar, len(parts)
        self._sizes = {part: part.size() for part in parts}
        self._done = self._read = self._size = self._number = 0
        progress.update(bar, total=sum(self._sizes.values()))

    def start(self, part: Part) -> None:
        """The next file."""
        from rich.markup import escape

        self._number += 1
        self._read, self._size = 0, self._sizes[part]
        name = escape(printable(part.source or part.file.name))
        self._progress.update(self._bar, description=f"ingesting {name} ({self._number:,} of {self._files:,})")

    def at(self, position: int) -> None:
        """Note how far the current file is read. A file may grow meanwhile."""
        self._read = min(position, self._size)

    def show(self) -> None:
        """Move the bar."""
        self._progress.update(self._bar, completed=self._done + self._read)

    def finish(self) -> None:
        """The end of the current file."""
        self._done += self._size
        self._read = self._size = 0
        self.show()


def input_options(function: _F) -> _F:
    """PATH…, --glob, --exclude, --text-column, --id-column; the command gets them as `inputs`."""

    @wraps(function)
    def command(**values: Any) -> Any:
        names = ("paths", "globs", "excludes", "text_column", "id_column")
        return function(inputs=Inputs(**{name: values.pop(name) for name in names}), **values)

    for option in reversed(INPUT_OPTIONS):
        command = option(command)
    return click.argument("paths", nargs=-1, required=True, metavar="PATH_OR_URL…")(command)  # type: ignore[return-value]
