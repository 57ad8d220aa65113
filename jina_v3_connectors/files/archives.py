"""Zip files that hold documents (.docx, .pptx, .epub), read within limits."""

from __future__ import annotations

import posixpath
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

from ..errors import DocumentError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_ENTRIES = 20_000
MAX_PART_BYTES = 128 * 2**20
"""Of one unpacked part. Python reads no more than an entry says that it holds."""
MAX_READ_BYTES = 512 * 2**20
"""Of all parts that are read; pictures are not."""
OLE = bytes.fromhex("d0cf11e0a1b11ae1")
"""The beginning of Office files that are encrypted, and of those from before 2007."""


class Archive:
    """An open zip file. Its parts are read by name."""

    def __init__(self, entries: ZipFile) -> None:
        self._zip = entries
        self._read = 0
        if len(entries.infolist()) > MAX_ENTRIES:
            raise DocumentError(f"has {len(entries.infolist()):,} parts, {MAX_ENTRIES:,} are read at most: split it")

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def names(self) -> list[str]:
        return self._zip.namelist()

    def read(self, name: str) -> bytes:
        """A part.

        Raises:
            DocumentError: it is missing, too large, locked or damaged.
        """
        try:
            entry = self._zip.getinfo(name)
        except KeyError:
            raise DocumentError(f"is damaged: its part {name!r:.200} is missing. Save it again") from None
        self._read += entry.file_size
        if entry.file_size > MAX_PART_BYTES or self._read > MAX_READ_BYTES:
            raise DocumentError(
                f"unpacks to too much: its part {name!r:.200} has {entry.file_size:,} bytes, {MAX_PART_BYTES:,} are "
                f"read at most and {MAX_READ_BYTES:,} of all parts: split it"
            )
        if entry.flag_bits & 1:
            raise DocumentError("is locked by a password: save a copy without one")
        return self._zip.read(entry)

    def xml(self, name: str) -> Element:
        """The root of a part that is XML. One that defines entities is refused.

        Raises:
            DocumentError: as `read`, or it is no XML.
        """
        from xml.etree.ElementTree import ParseError

        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import fromstring

        try:
            root: Element = fromstring(self.read(name))
        except ParseError as error:
            raise DocumentError(f"is damaged: its part {name!r:.200} is no XML ({error}). Save it again") from error
        except DefusedXmlException:
            raise DocumentError(
                f"is not read: its part {name!r:.200} defines entities, which documents do not need and attacks use"
            ) from None
        return root


@contextmanager
def opened_archive(file: Path, kind: str) -> Iterator[Archive]:
    """The archive of `file`; `kind` names what it should be.

    Raises:
        DocumentError: no zip file, or a damaged one.
    """
    try:
        with ZipFile(file) as entries:
            yield Archive(entries)
    except (BadZipFile, EOFError, zlib.error, NotImplementedError, UnicodeDecodeError) as error:
        with file.open("rb") as content:
            is_ole = content.read(len(OLE)) == OLE
        if is_ole:
            raise DocumentError(
                f"is locked by a password, or of an Office older than 2007: save a copy as {kind} without a password"
            ) from None
        raise DocumentError(f"is no {kind}, or cut off or damaged ({error}): copy or save it again") from error


def part_name(base: str, reference: str) -> str:
    """The part that `reference` means in the part `base`."""
    path = unquote(reference.partition("#")[0])
    joined = path.lstrip("/") if path.startswith("/") else posixpath.join(posixpath.dirname(base), path)
    return posixpath.normpath(joined)
