"""Figures of chunkers, and the page that shows their cuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from jina_v3_connectors.chunking.comparison import Cutting, cut_documents, headings_of
from jina_v3_connectors.chunking.comparison_page import comparison_page, figures
from jina_v3_connectors.chunking.tokens import TokenCounter, counter_of
from jina_v3_connectors.documents import Cut, Document, TextFormat
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.texts.late_chunking import Span

TEXT = "# One\n\ntext of one\n\n```\n# no heading\n```\n\n## Two\n\ntext of two"
SECOND = TEXT.index("## Two")


@dataclass(frozen=True)
class Given:
    """A chunker that gives what it is told."""

    given: list[Span]
    description: str = "given"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        return self.given


class Noted(Given):
    """A chunker that says something of each chunk."""

    def cuts(self, text: str, text_format: TextFormat = "text") -> Sequence[Cut]:
        return [Cut(start, end, {"summary": "<i>short</i>"}) for start, end in self.given]


@pytest.fixture(scope="module")
def counter(nano: Encoder) -> TokenCounter:
    return counter_of(nano.tokenizer_file)


def test_figures(counter: TokenCounter) -> None:
    document = Document("page", TEXT, format="markdown")
    cutting = Cutting("given", "given")
    spans = [(0, 20), (20, SECOND), (SECOND, SECOND + len("## Two"))]
    ((_, cuts),) = cut_documents(cutting, Given(spans), [document], counter)
    assert [(cut.start, cut.end) for cut in cuts] == spans
    assert cutting.sizes == [counter.count(TEXT[start:end]) for start, end in spans]
    assert (cutting.headings, cutting.kept_headings) == (2, 1), "the second is cut off from its text"
    assert cutting.covered == len("".join(TEXT[: spans[-1][1]].split()))
    assert cutting.characters == len("".join(TEXT.split()))
    line = figures(cutting)
    assert line[:2] == ("given", "3")
    assert line[-3:-1] == (f"{int(1000 * cutting.covered / cutting.characters) / 10:g} %", "1/2")


def test_a_character_in_two_chunks_counts_once(counter: TokenCounter) -> None:
    cutting = Cutting("given", "given")
    list(cut_documents(cutting, Given([(0, 10), (5, len(TEXT))]), [Document("page", TEXT)], counter))
    assert cutting.coverage == 1.0
    assert Cutting("none", "none").coverage == 1.0


@pytest.mark.parametrize(
    ("document", "headings"),
    [
        (Document("a", TEXT, format="markdown"), ["# One", "## Two"]),
        (Document("a", "<p>x</p><h2 id='a'>Two</h2><p>y</p>"), ["<h2 id='a'>Two</h2>"]),
        (Document("a", "A title\n\nIt is a sentence.\n\nAnother one\n\nmore"), ["A title", "Another one"]),
        (Document("a", "word " * 40 + "\n\nmore"), []),
    ],
    ids=["markdown", "html", "text", "long line"],
)
def test_headings(document: Document, headings: list[str]) -> None:
    assert [document.text[start:end] for start, end in headings_of(document)] == headings


def test_the_page_escapes_everything(counter: TokenCounter) -> None:
    document = Document("<b>page</b>", "<script>alert(1)</script> text")
    cutting = Cutting("<i>", "<u>")
    ((_, cuts),) = cut_documents(cutting, Noted([(0, 8), (8, 30)]), [document], counter)
    page = comparison_page([cutting], [(document, {"<i>": cuts})], 3)
    for mark in ("<b>", "<i>", "<u>", "<script"):
        assert mark not in page
    assert "&lt;script&gt;" in page
    assert "summary: &lt;i&gt;short&lt;/i&gt;" in page
    assert "3 more documents were cut" in page
