"""Finds the files that can be read, in folders and among the paths that a user names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jina_v3_encoder.json_file import is_special

from ..errors import DocumentError
from .formats import SUFFIXES
from .patterns import matches

OFFICE_LOCK = "~$"
"""The beginning of what Office writes beside a document that is open."""
MAX_DEPTH = 100
"""Folders in one another."""


@dataclass(frozen=True)
class Selection:
    """Which files count: those that fit one of `globs`, where there are any, and none of `excludes`.

    Patterns are for the path below a named folder, and for the name of a named file; see `patterns.py`. An excluded
    folder is not looked into.
    """

    globs: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        return not self.leaves_out(path) and (not self.globs or any(matches(glob, path) for glob in self.globs))

    def leaves_out(self, path: str) -> bool:
        return any(matches(exclude.rstrip("/"), path) for exclude in self.excludes)


EVERYTHING = Selection()


def find_files(paths: Sequence[Path], selection: Selection = EVERYTHING) -> list[Path]:
    """The readable files among `paths` and below the folders among them, sorted within each folder.

    Raises:
        DocumentError: a path does not exist, cannot be read, is a pipe or a device, has another suffix, or a folder
            holds no such file.
    """
    files = []
    for file in files_or_errors(paths, selection):
        if isinstance(file, DocumentError):
            raise file
        files.append(file)
    return files


def files_or_errors(paths: Sequence[Path], selection: Selection = EVERYTHING) -> list[Path | DocumentError]:
    """As `find_files`, with the error in place of a file or folder that cannot be read.

    Names that begin with a dot are left out below a folder, and so are folders behind links, which a warning names.

    Raises:
        DocumentError: a path that was named does not exist or is nothing that can be read, or a folder holds no file.
    """
    files: list[Path | DocumentError] = []
    for path in paths:
        if path.is_dir():
            readable = list(_below(path, path, selection, 0))
            if not readable:
                raise DocumentError(f"{path} holds no {', '.join(SUFFIXES)} file{_told(selection)}")
            files += readable
        elif not os.path.lexists(path):
            raise DocumentError(f"{path} does not exist")
        elif (broken := _broken_link(path)) is not None:
            raise broken
        elif is_special(path):
            raise DocumentError(f"{path} is no regular file: write its content to a file first")
        elif path.suffix.lower() not in SUFFIXES:
            raise DocumentError(f"{path} is not one of {', '.join(SUFFIXES)}; convert it to one of these first")
        elif selection.takes(path.name):
            files.append(path)
    if paths and not files:
        raise DocumentError(f"none of these files is read{_told(selection)}")
    return list(dict.fromkeys(files))


def _below(folder: Path, top: Path, selection: Selection, depth: int) -> Iterator[Path | DocumentError]:
    """What lies in a folder and below it."""
    if depth > MAX_DEPTH:
        yield DocumentError(f"{folder} lies {depth} folders deep, {MAX_DEPTH} are read at most: name it itself")
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        yield DocumentError(f"{folder} cannot be read: {error.strerror}; or leave it out with --exclude")
        return
    for name in names:
        path = folder / name
        relative = path.relative_to(top).as_posix()
        if name.startswith((".", OFFICE_LOCK)) or selection.leaves_out(relative):
            continue
        if path.is_dir():
            if path.is_symlink():
                _tell_of_link(path)
            else:
                yield from _below(path, top, selection, depth + 1)
        elif path.suffix.lower() in SUFFIXES and selection.takes(relative):
            if (broken := _broken_link(path)) is not None:
                yield broken
            elif path.is_file():
                yield path


def _tell_of_link(path: Path) -> None:
    target = path.resolve()
    if path.absolute().is_relative_to(target):
        warnings.warn(f"{path} is a link that leads back to {target}, where it lies: it is left out", stacklevel=2)
    else:
        warnings.warn(f"{path} is a link to the folder {target}, which is not read: name it too", stacklevel=2)


def _broken_link(path: Path) -> DocumentError | None:
    """What is wrong with a path behind which there is nothing."""
    try:
        path.stat()
    except OSError as error:
        target = f", a link to {path.readlink()}," if path.is_symlink() else ""
        unreadable = DocumentError(f"{path}{target} cannot be read: {error.strerror}")
        unreadable.document_id = path.as_posix()
        return unreadable
    return None


def _told(selection: Selection) -> str:
    options = [f"--glob {glob!r}" for glob in selection.globs] + [f"--exclude {name!r}" for name in selection.excludes]
    return f" with {' '.join(options)}" if options else ""
