"""Who waits for an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

from fastapi import Request

from .records import Record, record_of

ANSWERED = "answered"
"""Where the scope's state has what is done once a request is answered."""
Gone = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Client:
    """One request's sender."""

    gone: Gone
    """Whether it has hung up."""
    answered: ExitStack
    """Closed when the answer is sent, or nobody is there to be answered."""
    record: Record
    """What is noted of the request."""


def client_of(request: Request) -> Client:
    """The sender of a request that came through the gate."""
    return Client(request.is_disconnected, request.scope["state"][ANSWERED], record_of(request.scope))
