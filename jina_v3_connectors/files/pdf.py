"""PDF to text, page by page, with the sections that its table of contents names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

from ..errors import DocumentError
from .content import PAGE, Content, Headings, TextBuilder

HEAD_BYTES = TAIL_BYTES = 1024
"""Where `%PDF-` and `%%EOF` stand. A file that ends without the latter was cut off; PDFium would read half of it."""
WRONG_PASSWORD = 4
LINE_END_HYPHEN = "\x02"
"""What PDFium puts for a hyphen at the end of a line, whose word goes on in the next one."""
FULL_LINE = 0.6
"""A line of at least this part of its page's longest one is full: the sentence goes on in the next line."""
SHORTEST_FULL = 25
"""Characters. Pages of shorter lines hold titles or verses."""
SENTENCE_END = re.compile(r"""[.!?:;。！？；：…]["'”’»)\]]*$""")
LISTED = re.compile(r"[-•‣▪◦*–—]\s|\(?\w{1,3}[.)]\s")
"""How an entry of a list begins."""
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""What a font without a table of its characters leaves in a text."""
OCR = "make its pages text first, for example with ocrmypdf"
PAGES_TOLD = 10


def read_pdf(file: Path) -> Content:
    """The text of all pages. Each page starts with a mark; a heading that the table of contents names has one too.

    Raises:
        DocumentError: no PDF, cut off, broken, locked by a password, without any text, or too long.
    """
    import pypdfium2
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    _check_ends(file)
    try:
        with pypdfium2.PdfDocument(file) as pdf:
            builder, headings, pictures = TextBuilder(), Headings(), []
            contents = _headings_by_page(pdf)
            for number, page in enumerate(_pages(pdf), 1):
                textpage = page.get_textpage()
                text = _cleaned(textpage.get_text_bounded())
                textpage.close()
                if not text and next(page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE]), None):
                    pictures.append(number)
                page.close()
                _add_page(builder, headings, number, text, contents.get(number, []))
    except pypdfium2.PdfiumError as error:
        if error.err_code == WRONG_PASSWORD:
            raise DocumentError("is locked by a password: save a copy without one") from None
        raise DocumentError(f"cannot be read as PDF ({error}): open it in a viewer and save it again") from error
    if not builder.length:
        raise DocumentError(f"holds no text, only pictures or nothing: {OCR}")
    return builder.content(remark=_told(pictures))


def _check_ends(file: Path) -> None:
    with file.open("rb") as content:
        if b"%PDF-" not in content.read(HEAD_BYTES):
            raise DocumentError("is no PDF: it does not begin with %PDF-")
        content.seek(max(0, file.stat().st_size - TAIL_BYTES))
        if b"%%EOF" not in content.read():
            raise DocumentError("is cut off: a PDF ends with %%EOF. Copy or download it again")


def _pages(pdf: Any) -> Iterator[Any]:
    for number in range(len(pdf)):
        yield pdf[number]


def _headings_by_page(pdf: Any) -> Mapping[int, list[tuple[int, str]]]:
    """(level, heading) of the entries of the table of contents, by the number of the page that they lead to."""
    by_page = defaultdict(list)
    for entry in pdf.get_toc():
        destination = entry.get_dest()
        index = destination.get_index() if destination else None
        heading = " ".join(entry.get_title().split())
        if index is not None and heading:
            by_page[index + 1].append((entry.level, heading))
    return by_page


def _add_page(
    builder: TextBuilder, headings: Headings, number: int, text: str, contents: list[tuple[int, str]]
) -> None:
    """Append a page. A heading counts from where it stands in the page, or from its top if it is not there."""
    if not text:
        for level, heading in contents:
            headings.add(level, heading)
        return
    builder.separate("\n\n")
    start = builder.add(text)
    builder.mark(start, {PAGE: number, **headings.metadata})
    position = 0
    for level, heading in contents:
        headings.add(level, heading)
        standing = re.compile(r"^[ \t]*" + r"\s+".join(map(re.escape, heading.split())), re.MULTILINE | re.IGNORECASE)
        match = standing.search(text, position)
        position = match.start() if match else position
        builder.mark(start + position, {PAGE: number, **headings.metadata})


def _cleaned(text: str) -> str:
    """A page's text without control characters; within a sentence, a space in place of the end of a line."""
    lines = [CONTROL.sub("", line).strip() for line in text.replace(LINE_END_HYPHEN, "-").splitlines()]
    full = max(SHORTEST_FULL, FULL_LINE * max(map(len, lines), default=0))
    pieces: list[str] = []
    for line, following in pairwise([*lines, ""]):
        goes_on = following and len(line) >= full and not SENTENCE_END.search(line) and not LISTED.match(following)
        pieces += (line, _gap(line, following) if goes_on else "\n")
    return "".join(pieces).strip()


def _gap(line: str, following: str) -> str:
    """Chinese and Japanese have no space there."""
    return "" if all(east_asian_width(character) in "WF" for character in (line[-1], following[0])) else " "


def _told(pictures: list[int]) -> str:
    if not pictures:
        return ""
    shown = ", ".join(map(str, pictures[:PAGES_TOLD])) + (", …" if len(pictures) > PAGES_TOLD else "")
    return f"page {shown} holds pictures and no text, which is not read: {OCR}"
