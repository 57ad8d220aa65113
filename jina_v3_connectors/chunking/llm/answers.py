"""What a model's answer says: numbers of sentences at which a part begins. Everything else in it is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .chat import Answer, UselessAnswer

FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
BARE_LIST = re.compile(r"\[?\s*\d{1,7}(?:\s*[,\s]\s*\d{1,7})*\s*\]?\.?")
SUMMARY_CHARACTERS = 500
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
"""What no summary may hold: control characters, line breaks, marks of direction and lone surrogates."""
MAX_JSON_STARTS = 3
"""So many places are tried at which JSON may begin."""


@dataclass(frozen=True)
class Parts:
    """Numbers of the sentences at which parts begin, from 1 on, the first always 1; and what was said of a part."""

    starts: tuple[int, ...]
    summaries: Mapping[int, str] = field(default_factory=dict)
    """By the number at which the part begins."""
    repaired: bool = False
    """Whether the answer was not what was asked for, and says the same all the same."""


def parts_of(answer: Answer, sentences: int, *, summaries: bool = False) -> Parts:
    """The parts of a window of so many sentences.

    Repaired is what leaves no doubt: JSON in a fence or in prose, numbers twice or in another order, a first part that
    does not begin at 1, and the number after the last sentence.

    Raises:
        UselessAnswer: there is a doubt.
    """
    if answer.is_cut_off:
        raise UselessAnswer("the answer is cut off")
    value, repaired = _json(answer.text)
    pairs = list(_pairs(value))
    if not pairs:
        raise UselessAnswer("the answer names no sentence")
    numbers = [number for number, _ in pairs]
    beyond = [number for number in numbers if not 1 <= number <= sentences]
    if set(beyond) - {sentences + 1}:
        raise UselessAnswer(f"the answer names sentence {beyond[0]} of {sentences}")
    starts = tuple(sorted({1, *numbers} - {sentences + 1}))
    said = {number: text for number, text in pairs if text and number in starts} if summaries else {}
    return Parts(starts, said, repaired or starts != tuple(numbers))


def _json(text: str) -> tuple[object, bool]:
    """The JSON of an answer, and whether something stood around it."""
    plain = text.strip()
    fence = FENCE.search(plain)
    for candidate in (plain, fence[1] if fence else ""):
        try:
            return json.loads(candidate), candidate is not plain
        except (ValueError, RecursionError):
            continue
    if BARE_LIST.fullmatch(plain):
        return [int(number) for number in re.findall(r"\d+", plain)], True
    decoder = json.JSONDecoder()
    for start in [match.start() for match in re.finditer(r"\{", plain)][:MAX_JSON_STARTS]:
        try:
            return decoder.raw_decode(plain, start)[0], True
        except (ValueError, RecursionError):
            continue
    raise UselessAnswer("the answer holds no list of numbers")


def _pairs(value: object) -> Iterator[tuple[int, str]]:
    """Numbers with what was said of each."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("starts", "parts") if name in value), None)
    if not isinstance(value, list):
        raise UselessAnswer("the answer holds no list of numbers")
    for entry in value:
        if isinstance(entry, dict):
            summary = entry.get("summary")
            yield _number(entry.get("start")), cleaned(summary) if isinstance(summary, str) else ""
        else:
            yield _number(entry), ""


def _number(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,7}\s*", value, re.ASCII):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise UselessAnswer("the answer holds something that is no number of a sentence")


def cleaned(summary: str) -> str:
    """A summary in one line, without what steers a terminal or cannot be stored."""
    line = " ".join(STEERING.sub(" ", summary).split())
    return line if len(line) <= SUMMARY_CHARACTERS else f"{line[: SUMMARY_CHARACTERS - 1]}…"


def plain(parts: Parts) -> str:
    """As JSON, for the cache."""
    return json.dumps(
        {"parts": [{"start": start, "summary": parts.summaries.get(start, "")} for start in parts.starts]}
    )


def question(sentences: Sequence[str]) -> str:
    """The sentences, each in a line of its own behind its number."""
    return "\n".join(f"[{number}] {' '.join(sentence.split())}" for number, sentence in enumerate(sentences, 1))
