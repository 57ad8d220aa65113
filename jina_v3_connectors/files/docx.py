"""Word documents to text. mammoth reads them as HTML, which `html.py` reads on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DocumentError
from .archives import opened_archive
from .content import NO_TEXT, Content
from .html import read_html

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

XML = re.compile(r".*\.(xml|rels)", re.IGNORECASE)
NOTE_LINK = re.compile(r"#(foot|end)note-")
"""Of the numbers and arrows that mammoth writes at a note, which are no text of the document."""


def read_docx(file: Path) -> Content:
    """The body with its tables, text boxes, footnotes and endnotes; headings by their styles. Insertions that are
    tracked are text, deletions, comments, page headers and page footers are not.

    Raises:
        DocumentError: no .docx, damaged, locked, without text, or too large.
    """
    import mammoth

    with opened_archive(file, ".docx") as archive:
        if "word/document.xml" not in archive and "[Content_Types].xml" not in archive:
            raise DocumentError("is no .docx: it holds no Word document")
        for name in archive.names():
            if XML.fullmatch(name):
                archive.xml(name)  # mammoth has no limits of its own, and would read entities
    try:
        with file.open("rb") as content:
            markup = mammoth.convert_to_html(content, convert_image=lambda _: []).value
    except (RecursionError, MemoryError):
        raise
    except Exception as error:  # it has no error of its own
        raise DocumentError(f"is damaged, or holds no Word document ({error!s:.200}): save it again") from error
    return read_html(markup, ignore=_is_note_link, no_text=NO_TEXT)


def _is_note_link(node: LexborNode) -> bool:
    return node.tag == "a" and NOTE_LINK.match(node.attributes.get("href") or "") is not None
