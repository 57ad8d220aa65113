"""Small real files of other people's formats, for readers."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
)


def write_pdf(
    file: Path, pages: Sequence[str], sections: Mapping[int, Sequence[tuple[int, str]]] | None = None
) -> Path:
    """A PDF by fpdf2. `sections` are (level, title) of the table of contents by page number from 1 on."""
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    for number, text in enumerate(pages, 1):
        pdf.add_page()
        for level, title in (sections or {}).get(number, ()):
            pdf.start_section(title, level)
        if text:
            pdf.multi_cell(0, 6, text)
    pdf.output(str(file))
    return file


def write_picture_pdf(file: Path, pages: Sequence[str | None]) -> Path:
    """A PDF whose pages are texts, or for None a picture as a scanner makes it."""
    from fpdf import FPDF
    from PIL import Image

    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    for text in pages:
        pdf.add_page()
        if text is None:
            pdf.image(Image.new("RGB", (20, 20), "gray"), w=100)
        else:
            pdf.multi_cell(0, 6, text)
    pdf.output(str(file))
    return file


def lock_pdf(file: Path, password: str) -> Path:
    """The same PDF, locked by a password, by pypdf."""
    from pypdf import PdfWriter

    writer = PdfWriter(clone_from=str(file))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    writer.write(str(file))
    return file


def write_zip(file: Path, parts: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as entries:
        for name, content in parts.items():
            entries.writestr(name, content)
    return file


def book(chapters: Mapping[str, str]) -> dict[str, str | bytes]:
    """The parts of an .epub of these chapters, in this order; the manifest has the other order."""
    items = "".join(
        f'<item id="{name}" href="text/{name}%20x.xhtml" media-type="application/xhtml+xml"/>'
        for name in reversed(list(chapters))
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        f"<dc:title>A  book</dc:title></metadata><manifest>{items}</manifest><spine>{order}</spine></package>"
    )
    pages = {
        f"OPS/text/{name} x.xhtml": '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>'
        f"<body>{body}</body></html>"
        for name, body in chapters.items()
    }
    return {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OPS/book.opf": package, **pages}
