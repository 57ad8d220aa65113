"""The text of a document from its chunks."""

from __future__ import annotations

import pytest

from jina_v3_connectors.reassembly import Reassembled, reassemble


@pytest.mark.parametrize(
    ("texts", "spans", "expected"),
    [
        (["One. ", "Two."], [(0, 5), (5, 9)], Reassembled("One. Two.", True, None)),
        (["One.", "Two."], [(0, 4), (5, 9)], Reassembled("One._Two.", True, None)),
        (["One.", "Two."], [(0, 4), (7, 11)], Reassembled("One.\n\n Two.", False, None)),
        (["Two."], [(3, 7)], Reassembled("   Two.", False, None)),
        (["One two", "two three"], [(0, 7), (4, 13)], Reassembled("One two three", True, None)),
        (["One two three", "two", "three."], [(0, 13), (4, 7), (8, 14)], Reassembled("One two three.", True, None)),
        (["One two", "TWO", "TWO."], [(0, 7), (4, 7), (4, 8)], Reassembled("One two.", True, 1)),
        ([], [], Reassembled("", True, None)),
    ],
    ids=["whole", "a character", "a paragraph", "no beginning", "overlap", "inside", "contradiction", "nothing"],
)
def test_chunks_stand_at_their_places(texts: list[str], spans: list[tuple[int, int]], expected: Reassembled) -> None:
    assert reassemble(texts, spans, longest_gap=3, filler="_") == expected


@pytest.mark.parametrize(
    ("texts", "spans"),
    [
        (["One.", "Two."], [(0, 4), (8, 12)]),
        (["Two."], [(2**40, 2**40 + 4)]),
        (["One.", "Two."], [(5, 9), (0, 4)]),
        (["One."], [(0, 5)]),
    ],
    ids=["a long gap", "far away", "not in order", "places of another text"],
)
def test_places_that_are_not_those_of_the_texts(texts: list[str], spans: list[tuple[int, int]]) -> None:
    assert reassemble(texts, spans, longest_gap=3) is None
