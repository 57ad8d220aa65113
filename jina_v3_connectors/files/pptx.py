"""Presentations to text, slide by slide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DocumentError
from .archives import Archive, opened_archive, part_name
from .content import NO_TEXT, PAGE, Content, Headings, TextBuilder

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
SLIDE = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
PRESENTATION = "ppt/presentation.xml"
TITLES = frozenset(("title", "ctrTitle"))
ON_EVERY_SLIDE = frozenset(("sldNum", "dt", "ftr", "hdr", "sldImg"))
"""Placeholders for number, date and the like."""


def read_pptx(file: Path) -> Content:
    """The slides that are shown, with tables, diagrams and notes. `page` is a slide's number, `section` its title.

    Raises:
        DocumentError: no .pptx, damaged, locked, without text, or too large.
    """
    builder = TextBuilder()
    with opened_archive(file, ".pptx") as archive:
        if PRESENTATION not in archive:
            raise DocumentError("is no .pptx: it holds no presentation")
        slides = _relations(archive, PRESENTATION)
        for number, entry in enumerate(archive.xml(PRESENTATION).iter(f"{SLIDE}sldId"), 1):
            name = slides.get(entry.get(f"{RELATIONS}id", ""), ("", ""))[1]
            slide = archive.xml(name)
            if slide.get("show") not in ("0", "false"):
                _add_slide(builder, archive, number, name, slide)
    if not builder.length:
        raise DocumentError(NO_TEXT)
    return builder.content()


def _add_slide(builder: TextBuilder, archive: Archive, number: int, name: str, slide: Element) -> None:
    relations, headings, starts = _relations(archive, name), Headings(), []
    parts = [slide, *(archive.xml(target) for kind, target in relations.values() if kind == "notesSlide")]
    for part in parts:
        for shape in _shapes(part):
            builder.separate("\n\n")
            placeholder = _placeholder(shape)
            if placeholder in ON_EVERY_SLIDE:
                continue
            texts = list(_texts(shape, archive, relations))
            if placeholder in TITLES and part is slide and texts:
                headings.add(1, " ".join(texts))
            for text in texts:
                builder.separate("\n")
                starts.append(builder.add(text))
    if starts:
        builder.mark(starts[0], {PAGE: number, **headings.metadata})


def _shapes(part: Element) -> Iterator[Element]:
    """Shapes, tables and diagrams in the order of the file; those of groups by themselves."""
    waiting = [part]
    while waiting:
        element = waiting.pop()
        if element.tag in (f"{SLIDE}sp", f"{SLIDE}graphicFrame"):
            yield element
        elif element.tag != FALLBACK:
            waiting += reversed(element)


def _placeholder(shape: Element) -> str:
    placeholder = shape.find(f"{SLIDE}nvSpPr/{SLIDE}nvPr/{SLIDE}ph")
    return "" if placeholder is None else placeholder.get("type", "body")


def _texts(shape: Element, archive: Archive, relations: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Paragraphs, and rows of tables with a tab between their cells."""
    rows = list(shape.iter(f"{DRAWING}tr"))
    if rows:
        lines = ["\t".join(" ".join(_paragraphs(cell)) for cell in row.iter(f"{DRAWING}tc")) for row in rows]
    else:
        lines = list(_paragraphs(shape))
        for diagram in shape.iter(f"{DIAGRAM}relIds"):
            target = relations.get(diagram.get(f"{RELATIONS}dm", ""), ("", ""))[1]
            lines += _paragraphs(archive.xml(target))
    yield from (line for line in lines if line.strip())


def _paragraphs(element: Element) -> Iterator[str]:
    for paragraph in element.iter(f"{DRAWING}p"):
        pieces = [
            "\n" if piece.tag == f"{DRAWING}br" else piece.findtext(f"{DRAWING}t") or ""
            for piece in paragraph
            if piece.tag in (f"{DRAWING}r", f"{DRAWING}br", f"{DRAWING}fld")
        ]
        if text := "".join(pieces).strip():
            yield text


def _relations(archive: Archive, name: str) -> dict[str, tuple[str, str]]:
    """(kind, part) by id, of what a part refers to inside the file."""
    folder, _, base = name.rpartition("/")
    relations = f"{folder}/_rels/{base}.rels"
    if relations not in archive:
        return {}
    return {
        relation.get("Id", ""): (
            relation.get("Type", "").rpartition("/")[2],
            part_name(name, relation.get("Target", "")),
        )
        for relation in archive.xml(relations)
        if relation.get("TargetMode") != "External"
    }
