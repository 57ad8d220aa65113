"""A training folder small enough for tests, in the exact form of the real one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

ROWS: dict[str, list[dict[str, Any]]] = {
    "openstax_docs": [
        {"id": "s", "lang": "en", "book": "b", "title": "T", "paras": [["H", "one"], ["", "two"], ["H", "three"]]},
        {
            "id": "long",
            "lang": "en",
            "book": "us-history",
            "title": "Introduction",
            "paras": [["", "The first term is war. Peace came."], ["", "Two."], ["", "Three."], ["", "Four terms."]],
        },
        {"id": "es", "lang": "es", "book": "b", "title": "T", "paras": [["", "uno"], ["", "dos"], ["", "tres"]]},
    ],
    "openstax_questions": [
        {"id": "s", "q": "why?", "para": 1, "bm25": 20.0},
        {"id": "s", "q": "weak?", "para": 0, "bm25": 1.0},
        {"id": "s", "q": "unlabelled?"},
    ],
    "openstax_terms": [
        {"id": "s", "term": "Term", "definition": "what it means", "para": 2},
        {"id": "long", "term": "war", "definition": "armed conflict", "para": 0},
        {"id": "s", "term": "Void", "definition": None, "para": None},
    ],
    "medquad": [{"q": "What is flu?", "a": "An illness.", "focus": "flu"}],
    "scitldr": [{"id": "p", "abstract": "Long.", "tldr": ["Short.", "Brief."]}],
    "tldr_pages": [{"cmd": "ls", "d": "List.", "ex": [["Show all", "ls -a"]], "tr": {"de": {"d": "Liste."}}}],
    "arcd": [],
    "cmrc2018": [{"lang": "zh", "context": "文", "qas": [["1", "问？"]]}],
    "jsquad": [],
    "opentrivia": [{"q": "Which?", "a": "That", "cat": "animals"}],
    "parallel_tatoeba": [
        {"lang": "de", "x": "Hallo.", "en": "Hello."},
        {"lang": "tr", "x": "Merhaba.", "en": "Hello."},
    ],
    "parallel_openstax": [],
    "parallel_ntrex": [{"en": "News.", "fr": "Nouvelles.", "hi": "…"}],
    "parallel_tico19": [],
    "sib200_flores": [{"label": "sports", "en": "Run.", **dict.fromkeys(["de", "es", "fr", "it", "ja"], "x")}],
    "stsb_multi_train": [{"score": 2.5, "en": ["a", "b"], "de": ["c", "d"]}],
    "clinc150": [{"text": "hi", "label": "greet"}],
    "hwu64": [],
    "goemotions": [],
    "wordnet_glosses": [{"m": ["able"], "d": "capable", "e": ["able to swim"]}, {"m": ["x"], "d": "y"}],
    "questions_paralex": [{"q": "How?"}],
}
ROWS["sib200_flores"][0].update(dict.fromkeys(["nl", "pt", "ru", "zh"], "x"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, rows in ROWS.items():
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path
