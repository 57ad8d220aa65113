"""Word documents, presentations and books: text, headings and slides, and files that cannot be read or mean harm."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files.content import Content
from jina_v3_connectors.files.docx import read_docx
from jina_v3_connectors.files.epub import read_epub
from jina_v3_connectors.files.pptx import read_pptx

from ...support.files import book, write_zip

READERS: dict[str, Callable[[Path], Content]] = {".docx": read_docx, ".pptx": read_pptx, ".epub": read_epub}
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><a>&b;</a>'


def sections(content: Content) -> list[tuple[str, Any]]:
    """The first words of each mark's text, and its metadata."""
    return [(content.text[mark.start :].split("\n")[0], dict(mark.metadata)) for mark in content.marks]


def write_docx(file: Path) -> Path:
    import docx

    document = docx.Document()
    document.add_heading("Guide", 1)
    document.add_paragraph("First ").add_run("bold").bold = True
    document.add_heading("Set up", 2)
    document.add_paragraph("One", style="List Bullet")
    document.add_paragraph("Two", style="List Bullet")
    table = document.add_table(2, 2)
    for row, column, text in ((0, 0, "a"), (0, 1, "b"), (1, 0, "c"), (1, 1, "d")):
        table.cell(row, column).text = text
    document.sections[0].header.paragraphs[0].text = "On every page"
    document.save(str(file))
    return file


def write_pptx(file: Path) -> Path:
    import pptx

    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Welcome"
    slide.placeholders[1].text = "One\nTwo"
    slide.notes_slide.notes_text_frame.text = "Say hello."
    presentation.slides.add_slide(presentation.slide_layouts[6])
    hidden = presentation.slides.add_slide(presentation.slide_layouts[5])
    hidden.shapes.title.text = "Old"
    hidden._element.set("show", "0")
    last = presentation.slides.add_slide(presentation.slide_layouts[5])
    last.shapes.title.text = "Figures"
    table = last.shapes.add_table(2, 2, 0, 0, 100, 100).table
    for row, column, text in ((0, 0, "a"), (0, 1, "b"), (1, 0, "c"), (1, 1, "d")):
        table.cell(row, column).text = text
    group = last.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "In a group"
    presentation.save(str(file))
    return file


def write_epub(file: Path) -> Path:
    return write_zip(file, book({"a": "<p>" + "many words " * 500 + "</p>"}))


WRITERS: dict[str, Callable[[Path], Path]] = {".docx": write_docx, ".pptx": write_pptx, ".epub": write_epub}


def test_a_word_document(tmp_path: Path) -> None:
    content = read_docx(write_docx(tmp_path / "a.docx"))
    assert content.text == "Guide\n\nFirst bold\n\nSet up\n\nOne\nTwo\n\na\tb\nc\td"
    assert sections(content) == [("Guide", {"section": ["Guide"]}), ("Set up", {"section": ["Guide", "Set up"]})]


def test_notes_and_changes_of_a_word_document(tmp_path: Path) -> None:
    """Notes are text, the numbers and arrows that point at them are not; insertions are, deletions are not."""
    word = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override '
        'PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.'
        'document.main+xml"/></Types>'
    )
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts = {
        "[Content_Types].xml": types,
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r" Type="{office}/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="n" '
        f'Type="{office}/footnotes" Target="footnotes.xml"/></Relationships>',
        "word/document.xml": f"<w:document {word}><w:body><w:p><w:r><w:t>Kept</w:t></w:r><w:r><w:footnoteReference "
        'w:id="2"/></w:r><w:ins><w:r><w:t xml:space="preserve"> and new</w:t></w:r></w:ins><w:del><w:r><w:delText>, '
        "not old</w:delText></w:r></w:del></w:p></w:body></w:document>",
        "word/footnotes.xml": f'<w:footnotes {word}><w:footnote w:id="2"><w:p><w:r><w:t>A note.</w:t></w:r></w:p>'
        "</w:footnote></w:footnotes>",
    }
    assert read_docx(write_zip(tmp_path / "a.docx", parts)).text == "Kept and new\n\nA note."


def test_a_presentation(tmp_path: Path) -> None:
    content = read_pptx(write_pptx(tmp_path / "a.pptx"))
    assert content.text == "Welcome\n\nOne\nTwo\n\nSay hello.\n\nFigures\n\na\tb\nc\td\n\nIn a group"
    assert sections(content) == [
        ("Welcome", {"page": 1, "section": ["Welcome"]}),
        ("Figures", {"page": 4, "section": ["Figures"]}),
    ]


def test_a_book(tmp_path: Path) -> None:
    chapters = {"b": "<h1>One</h1><p>It began.</p>", "a": '<a id="x"/><h2>Two</h2><p>It went on &amp; on.</p>'}
    content = read_epub(write_zip(tmp_path / "a.epub", book(chapters)))
    assert content.text == "One\n\nIt began.\n\nTwo\n\nIt went on & on."
    assert sections(content) == [("One", {"section": ["One"]}), ("Two", {"section": ["One", "Two"]})]
    assert content.metadata == {"title": "A book"}


@pytest.mark.parametrize("suffix", READERS)
def test_files_that_are_cut_off_or_something_else(tmp_path: Path, suffix: str) -> None:
    file = WRITERS[suffix](tmp_path / f"a{suffix}")
    whole, read = file.read_bytes(), READERS[suffix]
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:-30]):
        file.write_bytes(content)
        with pytest.raises(
            DocumentError, match=rf"is no {suffix}, or cut off or damaged \(.*\): copy or save it again"
        ):
            read(file)
    file.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600)
    with pytest.raises(
        DocumentError, match=f"locked by a password, or of an Office older than 2007: save a copy as {suffix}"
    ):
        read(file)
    with pytest.raises(DocumentError, match=rf"is no {suffix}: it holds no "):
        read(write_zip(file, {"readme.txt": "x"}))


@pytest.mark.parametrize("suffix", READERS)
def test_a_damaged_part_is_never_half_read(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    WRITERS[suffix](file)
    part = {".docx": "word/document.xml", ".pptx": "ppt/slides/slide4.xml", ".epub": "OPS/text/a x.xhtml"}[suffix]
    with zipfile.ZipFile(file) as entries:
        entry = entries.getinfo(part)
        parts = {name: entries.read(name) for name in entries.namelist()}
    content = bytearray(file.read_bytes())
    start = entry.header_offset + 30 + len(part) + entry.compress_size // 2
    content[start : start + 8] = bytes(byte ^ 0xFF for byte in content[start : start + 8])
    file.write_bytes(content)
    with pytest.raises(DocumentError, match="or cut off or damaged"):
        READERS[suffix](file)
    del parts[part]
    with pytest.raises(DocumentError, match=r"is damaged: its part '.*' is missing|or holds no Word document"):
        READERS[suffix](write_zip(file, parts))


@pytest.mark.parametrize("suffix", READERS)
def test_entities_are_refused(tmp_path: Path, suffix: str) -> None:
    part = {".docx": "word/document.xml", ".pptx": "ppt/presentation.xml", ".epub": "META-INF/container.xml"}[suffix]
    with pytest.raises(DocumentError, match=rf"its part '{part}' defines entities, which documents do not need"):
        READERS[suffix](write_zip(tmp_path / f"a{suffix}", {part: BOMB}))


@pytest.mark.parametrize("suffix", READERS)
def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.archives.MAX_PART_BYTES", 10_000)
    part = {".docx": "word/document.xml", ".pptx": "ppt/presentation.xml", ".epub": "META-INF/container.xml"}[suffix]
    with pytest.raises(DocumentError, match=rf"unpacks to too much: its part '{part}' has 1,000,007 bytes, 10,000 are"):
        READERS[suffix](write_zip(tmp_path / f"a{suffix}", {part: f"<a>{' ' * 10**6}</a>"}))


def test_a_book_that_its_seller_locked(tmp_path: Path) -> None:
    locked = '<encryption xmlns:enc="x"><enc:CipherReference URI="{}"/></encryption>'
    parts = book({"a": "<p>x</p>"})
    with pytest.raises(DocumentError, match=r"is locked by its seller \(DRM\): only a copy without it can be read"):
        read_epub(
            write_zip(tmp_path / "a.epub", parts | {"META-INF/encryption.xml": locked.format("OPS/text/a%20x.xhtml")})
        )
    fonts = parts | {"META-INF/encryption.xml": locked.format("OPS/font.otf")}
    assert read_epub(write_zip(tmp_path / "b.epub", fonts)).text == "x"


def test_files_without_text(tmp_path: Path) -> None:
    import docx
    import pptx

    docx.Document().save(str(tmp_path / "a.docx"))
    pptx.Presentation().save(str(tmp_path / "a.pptx"))
    write_zip(tmp_path / "a.epub", book({"a": "<img src='x.png'/>"}))
    for suffix, read in READERS.items():
        with pytest.raises(DocumentError, match="holds no text"):
            read(tmp_path / f"a{suffix}")
