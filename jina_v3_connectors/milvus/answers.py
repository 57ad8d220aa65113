"""Large answers in parts: a server sends 64 MiB at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .errors import AnswerTooLarge

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def in_parts(ask: Callable[[Sequence[Asked]], list[Answer]], asked: Sequence[Asked]) -> list[Answer]:
    """What `ask` answers to all of `asked`, in order; halves are asked for where the answer would be too large.

    Raises:
        AnswerTooLarge: that to a single one is.
    """
    try:
        return ask(asked)
    except AnswerTooLarge:
        if len(asked) < 2:
            raise
    middle = len(asked) // 2
    return in_parts(ask, asked[:middle]) + in_parts(ask, asked[middle:])
