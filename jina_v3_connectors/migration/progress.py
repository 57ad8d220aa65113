"""How a long pass tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Advance: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is; 0 where that is not known."""


def silent(_: str, __: int, ___: int) -> None:
    """The progress of a call that nobody watches."""
