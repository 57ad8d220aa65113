"""Loaded by schemathesis: requests that no schema can tell from good ones are left out."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook  # type: ignore[untyped-decorator, unused-ignore]
def filter_case(context: Any, case: Any) -> bool:
    """Training needs two labels. Late chunking needs a token in each chunk, which only the tokenizer can tell."""
    body = case.body
    if not isinstance(body, dict):
        return True
    samples = body.get("input")
    if (
        isinstance(samples, list)
        and samples
        and all(isinstance(sample, dict) and "label" in sample for sample in samples)
    ):
        return "classifier_id" in body or len({str(sample["label"]) for sample in samples}) > 1
    data, parameters = body.get("data"), body.get("parameters")
    if isinstance(data, dict) and "query" in data:  # a ranking, which has options and tasks of its own
        return not parameters and ":" not in str(body.get("model"))
    late = [part for part in (body, data, parameters) if isinstance(part, dict) and part.get("late_chunking")]
    if not late:
        return True
    given = next(
        (part[name] for part in (*late, body) for name in ("input", "documents", "data") if name in part), None
    )
    texts = given if isinstance(given, list) else [given]
    return all(_readable(text.get("text") if isinstance(text, dict) else text) for text in texts)


def _readable(text: Any) -> bool:
    return isinstance(text, str) and any(character.isascii() and character.isalnum() for character in text)
