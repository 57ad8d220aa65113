"""PDF by pages and sections, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files.pdf import read_pdf

from ...support.files import lock_pdf, write_pdf, write_picture_pdf

PROSE = (
    "The first line of this page is as wide as the page itself, so that the sentence in it goes on in the second line."
)


def test_pages_and_sections_are_marks(tmp_path: Path) -> None:
    pages = ["Guide\nWelcome.", "Before.\n\nSet up\nRun it.\nUse\nDo it.", "", "Last page."]
    sections = {1: [(0, "Guide")], 2: [(1, "Set  up"), (1, "Use")], 4: [(0, "Not on the page")]}
    content = read_pdf(write_pdf(tmp_path / "a.pdf", pages, sections))
    assert content.text == "Guide\nWelcome.\n\nBefore.\nSet up\nRun it.\nUse\nDo it.\n\nLast page."
    assert [(content.text[mark.start :].split("\n")[0], dict(mark.metadata)) for mark in content.marks] == [
        ("Guide", {"page": 1, "section": ["Guide"]}),
        ("Before.", {"page": 2, "section": ["Guide"]}),
        ("Set up", {"page": 2, "section": ["Guide", "Set up"]}),
        ("Use", {"page": 2, "section": ["Guide", "Use"]}),
        ("Last page.", {"page": 4, "section": ["Not on the page"]}),
    ]
    assert content.remark == ""


def test_lines_of_a_sentence_are_joined_and_others_are_not(tmp_path: Path) -> None:
    content = read_pdf(write_pdf(tmp_path / "a.pdf", [f"Heading\n{PROSE}\n- one entry\n- another entry"]))
    assert content.text == f"Heading\n{PROSE}\n- one entry\n- another entry"
    assert [mark.metadata for mark in content.marks] == [{"page": 1}]


def test_a_hyphen_at_the_end_of_a_line_stays(tmp_path: Path) -> None:
    content = read_pdf(write_pdf(tmp_path / "a.pdf", ["This line ends in the middle of an exam-\nple and goes on."]))
    assert content.text == "This line ends in the middle of an exam-ple and goes on."


def test_any_script_comes_through(tmp_path: Path) -> None:
    from fpdf import FPDF
    from matplotlib import get_data_path

    text = "Ωμέγα, Привет, čeština, 𝔸, “quoted”"
    pdf = FPDF()
    pdf.add_font("DejaVu", fname=str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")))
    pdf.add_page()
    pdf.set_font("DejaVu", size=12)
    pdf.multi_cell(0, 6, text)
    pdf.output(str(tmp_path / "a.pdf"))
    assert read_pdf(tmp_path / "a.pdf").text == text


def test_pages_that_are_pictures_are_told(tmp_path: Path) -> None:
    content = read_pdf(write_picture_pdf(tmp_path / "a.pdf", ["Text.", None, "More.", None]))
    assert content.text == "Text.\n\nMore."
    assert [mark.metadata["page"] for mark in content.marks] == [1, 3]
    assert content.remark.startswith("page 2, 4 holds pictures and no text, which is not read: make its pages text")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    whole = write_pdf(tmp_path / "a.pdf", ["Some text."] * 20).read_bytes()
    with pytest.raises(DocumentError, match=r"is locked by a password: save a copy without one"):
        read_pdf(lock_pdf(write_pdf(tmp_path / "locked.pdf", ["Secret."]), "word"))
    with pytest.raises(
        DocumentError, match=r"holds no text, only pictures or nothing: make its pages text first, for "
    ):
        read_pdf(write_picture_pdf(tmp_path / "scan.pdf", [None]))
    for name, content, message in (
        ("empty", b"", "is no PDF: it does not begin with %PDF-"),
        ("text", b"hello", "is no PDF: it does not begin with %PDF-"),
        ("half", whole[: len(whole) // 2], "is cut off: a PDF ends with %%EOF. Copy or download it again"),
        ("nearly", whole[:-10], "is cut off: a PDF ends with %%EOF"),
        ("hollow", whole[:200] + whole[-30:], r"cannot be read as PDF \(.*\): open it in a viewer and save it again"),
    ):
        file = tmp_path / f"{name}.pdf"
        file.write_bytes(content)
        with pytest.raises(DocumentError, match=message):
            read_pdf(file)


def test_a_pdf_that_only_its_owner_may_change_is_read(tmp_path: Path) -> None:
    assert read_pdf(lock_pdf(write_pdf(tmp_path / "a.pdf", ["Open."]), "")).text == "Open."
