"""What stays together by sentences, by Markdown, by HTML and by code."""

from __future__ import annotations

from itertools import pairwise

import pytest

from jina_v3_connectors.chunking import breaks
from jina_v3_connectors.chunking.code import CodeChunker
from jina_v3_connectors.chunking.fixed import FixedChunker
from jina_v3_connectors.chunking.html import HtmlChunker
from jina_v3_connectors.chunking.markdown import MarkdownChunker
from jina_v3_connectors.chunking.sentences import SentenceChunker
from jina_v3_connectors.chunking.sizes import Sizes
from jina_v3_connectors.chunking.tokens import TokenCounter, counter_of
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput


@pytest.fixture(scope="module")
def counter(nano: Encoder) -> TokenCounter:
    return counter_of(nano.tokenizer_file)


def sentences(text: str) -> list[str]:
    cuts = [0, *breaks.sentences(text, 0, len(text)), len(text)]
    return [text[start:end].strip() for start, end in pairwise(cuts)]


@pytest.mark.parametrize(
    "expected",
    [
        ["One is here.", "Two is there!", "“Three?”", "Four…", "Five."],
        ["Dr. Smith met J. R. Tolkien, e.g. in the U.S. army.", "They spoke."],
        ["It costs 3.14 dollars at x.com today.", "Nothing more."],
        ["東京は首都です。", "大阪は違います！", "「そうですか？」", "はい。"],
        ["هل هذا سؤال؟", "نعم هو سؤال."],
        ["यह एक वाक्य है।", "यह दूसरा है।"],
        ["z.B. Hamburg liegt im Norden, vgl. die Karte.", "München nicht."],
    ],
    ids=["latin", "abbreviations", "points", "japanese", "arabic", "hindi", "german"],
)
def test_sentences(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


def test_japanese_sentences_need_no_space() -> None:
    assert sentences("東京です。大阪です。") == ["東京です。", "大阪です。"]


def test_lines_end_sentences_unless_they_go_on_in_a_small_letter() -> None:
    assert sentences("A Heading\nThe text is\nwrapped here.\n- item") == [
        "A Heading",
        "The text is\nwrapped here.",
        "- item",
    ]


def test_groups_of_sentences_overlap(counter: TokenCounter) -> None:
    text = "One is. Two is. Three is. Four is. Five is."
    chunker = SentenceChunker(Sizes(counter, 60), 3, 1)
    chunks = [text[start:end] for start, end in chunker.spans(text)]
    assert chunks == ["One is. Two is. Three is.", "Three is. Four is. Five is."]
    assert chunker.description == "groups of 3 sentences, overlap 1, 60 tokens"
    assert len(SentenceChunker(Sizes(counter, 60), 2).spans(text)) == 3
    with pytest.raises(InvalidInput, match="a chunk of 2 sentences cannot share 2 with the next one"):
        SentenceChunker(Sizes(counter), 2, 2)


def test_fixed_chunks_are_full_and_overlap_by_tokens(counter: TokenCounter) -> None:
    text = "the sea is of the moon and it is in the sky " * 40
    spans = FixedChunker(Sizes(counter, 20)).spans(text)
    assert {counter.exact(text[start:end]) for start, end in spans[:-1]} <= {19, 20}
    overlapping = FixedChunker(Sizes(counter, 20), 6).spans(text)
    shared = [text[start:end] for (start, _), (_, end) in zip(overlapping[1:], overlapping, strict=False)]
    assert {counter.exact(part) for part in shared} <= {5, 6}
    assert FixedChunker(Sizes(counter, 20), 6).description == "fixed, overlap 6, 20 tokens"
    with pytest.raises(InvalidInput, match="a chunk of 20 tokens cannot share 20 with the next one"):
        FixedChunker(Sizes(counter, 20), 20)


PROSE = "The sea is deep and the moon is far. Nobody has been there for a long time."
TABLE = "| sea | depth |\n|---|---|\n" + "".join(f"| number {row} | {row} |\n" for row in range(5))
FENCE = "```python\ndef f():\n\n    return 1\n\n\nprint(f())\n```"


def test_markdown_sections(counter: TokenCounter) -> None:
    text = f"intro\n\n# One\n\n{PROSE}\n\n## Two\n### Three\n\n{PROSE}\n"
    chunks = [text[start:end] for start, end in MarkdownChunker(Sizes(counter, 60)).spans(text)]
    assert chunks == ["intro", f"# One\n\n{PROSE}", f"## Two\n### Three\n\n{PROSE}"]


@pytest.mark.parametrize("block", [TABLE, FENCE], ids=["table", "fence"])
def test_markdown_blocks_that_fit_are_whole(counter: TokenCounter, block: str) -> None:
    size = counter.exact(block.strip()) + 2
    text = f"# Head\n\n{PROSE} {PROSE}\n\n{block}\n\n{PROSE} {PROSE}"
    chunks = [text[start:end] for start, end in MarkdownChunker(Sizes(counter, size)).spans(text)]
    assert any(block.strip() in chunk for chunk in chunks)
    assert "# Head" in chunks[0]
    assert chunks[0] != "# Head"


def test_markdown_headings_keep_the_beginning_of_a_long_paragraph(counter: TokenCounter) -> None:
    text = f"# Head\n\n{' '.join([PROSE] * 3)}"
    chunks = [text[start:end] for start, end in MarkdownChunker(Sizes(counter, 30)).spans(text)]
    assert chunks[0].startswith("# Head\n\nThe sea is deep")


def test_what_is_in_a_fence_is_no_heading(counter: TokenCounter) -> None:
    text = "```\n# no heading\n\n# nor this\n```\n\n# Heading\n\ntext"
    chunks = [text[start:end] for start, end in MarkdownChunker(Sizes(counter, 100)).spans(text)]
    assert chunks == ["```\n# no heading\n\n# nor this\n```", "# Heading\n\ntext"]


def test_html_sections(counter: TokenCounter) -> None:
    rows = "".join(f"<tr><td>{row}</td><td><p>cell</p></td></tr>" for row in range(3))
    table = f"<table>{rows}</table>"
    text = f"<body><p>intro</p><h1>One</h1><p>{PROSE}</p><h2>Two</h2>{table}<!-- <h1> --><p>end</p></body>"
    chunks = [text[start:end] for start, end in HtmlChunker(Sizes(counter, counter.exact(table) + 40)).spans(text)]
    assert chunks == [
        "<body><p>intro</p>",
        f"<h1>One</h1><p>{PROSE}</p>",
        f"<h2>Two</h2>{table}<!-- <h1> --><p>end</p></body>",
    ]


def test_html_tables_that_fit_are_whole(counter: TokenCounter) -> None:
    table = "<table><tr><td><table><tr><td>inner</td></tr></table></td></tr></table>"
    text = f"<h1>A</h1><p>{PROSE}</p>{table}<p>{PROSE}</p>"
    chunks = [text[start:end] for start, end in HtmlChunker(Sizes(counter, counter.exact(table) + 1)).spans(text)]
    assert any(table in chunk for chunk in chunks)


def test_code_is_cut_between_definitions_and_methods(counter: TokenCounter) -> None:
    method = "    def {}(self):\n        a = 1\n\n        return a\n"
    text = f"import os\n\n\nclass Sea:\n{method.format('deep')}\n{method.format('wide')}\n\ndef main():\n    return 1\n"
    chunks = [text[start:end] for start, end in CodeChunker(Sizes(counter, 45)).spans(text)]
    assert chunks == [
        "import os",
        f"class Sea:\n{method.format('deep')}".rstrip(),
        method.format("wide").strip(),
        "def main():\n    return 1",
    ]


HOSTILE = {
    "stops": "." * 100_000,
    "stops and quotes": '."' * 50_000,
    "breaks": "\n" * 100_000 + "a",
    "blanks": " \n" * 50_000 + "a",
    "tags": "<table>" * 40_000,
    "open comments": "<!--" * 30_000,
    "open tags": "<h1 " * 30_000,
    "letters": "x" * 200_000,
    "marks": "a" + "\u0301" * 30_000,
    "zero width": "\u200b" * 30_000,
    "quotes": "> " * 30_000,
    "rows": "|" * 100_000,
    "cjk": "長" * 30_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts(counter: TokenCounter, text: str) -> None:
    """With time in the square of the length, this would not end."""
    for kind in (MarkdownChunker, HtmlChunker, CodeChunker, SentenceChunker, FixedChunker):
        spans = kind(Sizes(counter)).spans(text)
        assert spans[-1][1] == len(text.rstrip())
