from __future__ import annotations

import io

from rich.console import Console

from jina_v3_connectors import Chunk, Hit
from jina_v3_connectors.cli.tables import PASSAGE_CHARACTERS, hits_table, shorten


def shown(hits: list[Hit], title: str | None = None) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(hits_table(hits, title))
    return console.export_text()


def hit(text: str, score: float = 0.5, document: str = "a.txt") -> Hit:
    return Hit(score, Chunk(document, 0, 3, 9, text))


def test_rank_score_place_and_passage() -> None:
    text = shown([hit("first passage", 0.91234), hit("second passage", 0.5)], "my question")
    assert "my question" in text
    assert text.index("first passage") < text.index("second passage")
    assert "0.912" in text
    assert "3–9" in text
    assert "a.txt" in text


def test_nothing_found_is_an_empty_table() -> None:
    assert "passage" in shown([])


def test_brackets_in_texts_are_not_markup() -> None:
    text = shown([hit("use [bold]x[/bold] and [/red]", document="notes[1].md")])
    assert "[bold]x[/bold] and [/red]" in text
    assert "notes[1].md" in text


def test_long_passages_are_cut_and_white_space_folds() -> None:
    assert shorten("a\n\n  b\tc") == "a b c"
    assert shorten("x" * PASSAGE_CHARACTERS) == "x" * PASSAGE_CHARACTERS
    cut = shorten("x" * (PASSAGE_CHARACTERS + 1))
    assert len(cut) == PASSAGE_CHARACTERS
    assert cut.endswith("…")
