"""Where a text may be cut: after its paragraphs, lines, sentences and words.

Each function gives positions within [start, end), in order. A piece begins at each of them. All take linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

Breaks: TypeAlias = Callable[[str, int, int], Iterator[int]]

PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
LINE = re.compile(r"\n\s*")
WORD = re.compile(r"\s+")
SENTENCE = re.compile(
    r"""(?<![.!?…‼⁇⁈⁉؟۔।॥])[.!?…‼⁇⁈⁉؟۔।॥]++[)\]}"'”’»›]*+\s++"""  # a stop, what closes, and white space
    r"""|(?<![。！？｡．])[。！？｡．]++[」』）】〉》”’\])"']*+\s*+"""  # scripts that put no space behind a stop
    r"""|\n\s*+""",
)
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st sr jr vs etc e.g i.e cf al fig figs eq no nos vol pp ed eds dept inc ltd co corp approx "
    "bzw z.b d.h u.a ca nr str usw vgl evtl m.e p.ej sra ud av dott sig".split()
)
"""Words before a full stop that ends no sentence, in the languages that use it most."""
LONGEST_ABBREVIATION = 6


def paragraphs(text: str, start: int, end: int) -> Iterator[int]:
    """After blank lines."""
    return _ends(PARAGRAPH, text, start, end)


def lines(text: str, start: int, end: int) -> Iterator[int]:
    """After line breaks."""
    return _ends(LINE, text, start, end)


def words(text: str, start: int, end: int) -> Iterator[int]:
    """After white space."""
    return _ends(WORD, text, start, end)


def sentences(text: str, start: int, end: int) -> Iterator[int]:
    """After sentences, and after lines that the next one does not go on with in a small letter."""
    for match in SENTENCE.finditer(text, start, end):
        cut = match.end()
        if start < cut < end and _ends_sentence(text, match, start):
            yield cut


def _ends(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[int]:
    return (match.end() for match in pattern.finditer(text, start, end) if start < match.end() < end)


def _ends_sentence(text: str, match: re.Match[str], start: int) -> bool:
    mark, following = text[match.start()], text[match.end()]
    if mark not in ".\n":
        return True
    if text.count("\n", match.start(), match.end()) > 1:
        return True
    if following.islower():
        return False
    if mark == "\n" or "\n" in match[0]:
        return True
    before = match.start()
    head = max(start, before - LONGEST_ABBREVIATION - 1)
    word = text[head:before].rsplit(None, 1)[-1].lstrip("([\"'“„«") if before > head else ""
    return not (word.lower() in ABBREVIATIONS or (len(word) == 1 and word.isupper()))
