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
STOPS, CLOSERS = ".!?…‼⁇⁈⁉؟۔।॥", r")\]}\"'”’»›"
WIDE_STOPS, WIDE_CLOSERS = "。！？｡．", "」』）】〉》”’\\])\"'"
"""Of scripts that put no space behind a stop."""
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st sr jr vs etc e.g i.e cf al fig figs eq no nos vol pp ed eds dept inc ltd co corp approx "
    "bzw z.b d.h u.a ca nr str usw vgl evtl m.e p.ej sra ud av dott sig".split()
)
"""Words before a full stop that ends no sentence, in the languages that use it most."""
LONGEST_ABBREVIATION = 6
CERTAIN = 4
"""A full stop behind so many small letters ends a sentence, unless they are the end of an abbreviation."""
_ENDINGS = "|".join(sorted({word[-CERTAIN:] for word in ABBREVIATIONS if len(word) >= CERTAIN and word.isalpha()}))
SENTENCE = re.compile(
    rf"[{STOPS}{WIDE_STOPS}\n]"  # `re` looks for one of a set much faster than for the first that one of three finds
    rf"(?:(?:(?<=[a-z]{{{CERTAIN}}}\.)(?<!(?:{_ENDINGS})\.)|(?<=[0-9]\.))( )(?=[A-Z])"  # most need no second look
    rf"|(?<=[{STOPS}])(?<![{STOPS}]{{2}})[{STOPS}]*+[{CLOSERS}]*+\s++"  # stops, what closes, and white space
    rf"|(?<=[{WIDE_STOPS}])(?<![{WIDE_STOPS}]{{2}})[{WIDE_STOPS}]*+[{WIDE_CLOSERS}]*+\s*+"
    r"|(?<=\n)\s*+)",
)
OPENERS = "([\"'“„«"


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
        mark, cut = match.span()
        is_certain = match.lastindex and mark - start > CERTAIN
        if is_certain or (cut < end and (text[mark] not in ".\n" or _ends_sentence(text, mark, cut, start))):
            yield cut


def _ends(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[int]:
    return (match.end() for match in pattern.finditer(text, start, end) if start < match.end() < end)


def _ends_sentence(text: str, mark: int, cut: int, start: int) -> bool:
    """Whether a sentence ends with a full stop or a line break at `mark`. The next one would begin at `cut`."""
    lines = 0 if text[mark:cut] == ". " else text.count("\n", mark, cut)
    if lines > 1:
        return True
    if text[cut].islower():
        return False
    if lines or mark == start:
        return True
    before = text[mark - 1]
    if before.isascii() and not (before.isalpha() or before.isspace()):
        return True  # neither an abbreviation nor an initial ends with a digit or a bracket
    tail = text[max(start, mark - LONGEST_ABBREVIATION - 1) : mark]
    if len(tail) > LONGEST_ABBREVIATION and tail.isalpha():
        return True
    words = tail.rsplit(None, 1)
    word = words[-1].lstrip(OPENERS) if words else ""
    return not (word.lower() in ABBREVIATIONS or (len(word) == 1 and word.isupper()))
