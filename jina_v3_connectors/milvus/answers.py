"""Reads large answers in parts: a server sends 64 MiB at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .errors import AnswerTooLarge

Request = TypeVar("Request")
Answer = TypeVar("Answer")


def in_parts(ask: Callable[[Sequence[Request]], list[Answer]], requests: Sequence[Request]) -> list[Answer]:
    """All answers of `ask`, in order. If an answer would be too large, the requests are sent in two halves.

    Raises:
        AnswerTooLarge: the answer to a single request is too large.
    """
    try:
        return ask(requests)
    except AnswerTooLarge:
        if len(requests) < 2:
            raise
    middle = len(requests) // 2
    return in_parts(ask, requests[:middle]) + in_parts(ask, requests[middle:])
