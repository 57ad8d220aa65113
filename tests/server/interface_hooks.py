"""Loaded by schemathesis: requests that no schema can tell from good ones are left out."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook  # type: ignore[untyped-decorator, unused-ignore]
def filter_body(context: Any, body: Any) -> bool:
    """Late chunking needs a token in each chunk, and which texts have none is the tokenizer's knowledge."""
    if not isinstance(body, dict) or not body.get("late_chunking"):
        return True
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    return all(_readable(text.get("text") if isinstance(text, dict) else text) for text in texts)


def _readable(text: Any) -> bool:
    return isinstance(text, str) and any(character.isascii() and character.isalnum() for character in text)
