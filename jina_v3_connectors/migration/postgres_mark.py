"""The mark that a move leaves in a column's comment: its first name, and how its vectors are made."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..contract import EmbeddingContract
from ..errors import StoreError

MARK = "jina-v3 "
"""Before the contract in a column's comment."""


class Mark(NamedTuple):
    """What a column's comment says of the move that made it."""

    column: str
    """Its name at first."""
    contract: dict[str, Any]


def comment_of(column: str, contract: EmbeddingContract) -> str:
    """The comment that marks a column."""
    return MARK + json.dumps(Mark(column, contract.to_dict())._asdict())


def marked(comment: str | None) -> Mark | None:
    """The mark in a comment, None where there is none.

    Raises:
        StoreError: it was damaged.
    """
    if comment is None or not comment.startswith(MARK):
        return None
    try:
        return Mark(**json.loads(comment.removeprefix(MARK)))
    except (ValueError, TypeError) as error:
        raise StoreError(f"the comment {comment!r:.200} of a column was damaged: {error}") from error
