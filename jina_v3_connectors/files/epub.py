"""Electronic books to text: the chapters in reading order."""

from __future__ import annotations

from pathlib import Path

from ..errors import DocumentError
from .archives import Archive, opened_archive, part_name
from .content import NO_TEXT, Content, Headings, TextBuilder
from .html import add_html, decoded, without_empty_elements

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
CHAPTERS = frozenset(("application/xhtml+xml", "text/html"))


def read_epub(file: Path) -> Content:
    """All chapters as one text, with their headings.

    Raises:
        DocumentError: no .epub, damaged, locked by its seller, without text, or too large.
    """
    from selectolax.lexbor import LexborHTMLParser

    builder, headings = TextBuilder(), Headings()
    with opened_archive(file, ".epub") as archive:
        if CONTAINER not in archive:
            raise DocumentError("is no .epub: it holds no book")
        package = next((part.get("full-path", "") for part in archive.xml(CONTAINER).iterfind(".//{*}rootfile")), "")
        title, chapters = _package(archive, package)
        locked = _encrypted(archive) & set(chapters)
        if locked:
            raise DocumentError("is locked by its seller (DRM): only a copy without it can be read")
        for chapter in chapters:
            builder.separate("\n\n")
            page = LexborHTMLParser(without_empty_elements(decoded(archive.read(chapter))))
            if page.body is not None:
                add_html(page.body, builder, headings)
    if not builder.length:
        raise DocumentError(NO_TEXT)
    return builder.content({"title": title} if title else {})


def _package(archive: Archive, name: str) -> tuple[str, list[str]]:
    """The title and the parts of the chapters in reading order."""
    root = archive.xml(name)
    manifest = {
        part.get("id", ""): part_name(name, part.get("href", ""))
        for part in root.iterfind(".//{*}item")
        if part.get("media-type") in CHAPTERS
    }
    order = [reference.get("idref", "") for reference in root.iterfind(".//{*}itemref")]
    title = next((element.text or "" for element in root.iterfind(".//{http://purl.org/dc/elements/1.1/}title")), "")
    return " ".join(title.split()), [manifest[part] for part in order if part in manifest]


def _encrypted(archive: Archive) -> set[str]:
    """The parts that are encrypted. Fonts often are, without harm."""
    if ENCRYPTION not in archive:
        return set()
    references = archive.xml(ENCRYPTION).iterfind(".//{*}CipherReference")
    return {part_name("", reference.get("URI", "")) for reference in references}
