"""Repeating what may succeed later: full-jitter backoff, bounded in time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from .errors import Busy

Result = TypeVar("Result")
BUSY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may succeed later."""


def wished_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a busy server asks to wait, from its Retry-After header. None without one."""
    seconds = headers.get("retry-after", "")
    return float(seconds) if seconds.isdigit() else None


@dataclass(frozen=True)
class RetryPolicy:
    """Seconds. The n-th wait is drawn from 0 to `first` · 2ⁿ, at most `longest` (full jitter, as AWS describes it).

    A server's own Retry-After is waited for in full. After `total` the error is final.
    """

    first: float = 0.5
    longest: float = 30.0
    total: float = 300.0
    wait_for_absent: bool = True
    """Wait for a server that does not answer at all. It may be starting, or its address may be wrong."""

    def delay(self, attempt: int, error: Busy) -> float:
        drawn = random.uniform(0, min(self.longest, self.first * 2.0 ** min(attempt, 60)))  # noqa: S311 - no secret
        return max(drawn, error.retry_after or 0.0)


DEFAULT_RETRY = RetryPolicy()
SHORT_RETRY = RetryPolicy(first=0.2, longest=2.0, total=10.0, wait_for_absent=False)
"""For calls where a person waits for the answer: opening and searching."""


def with_retries(
    call: Callable[[], Result],
    policy: RetryPolicy,
    *,
    on_retry: Callable[[], None] = lambda: None,
    remedy: str = "",
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """`call()`, again after each `Busy`.

    Raises:
        JinaV3Error: it is still busy at the end of the policy's time. The class is the busy error's `final`; the
        message has the last reason and `remedy`.
    """
    start, attempt = clock(), 0
    while True:
        try:
            return call()
        except Busy as error:
            if error.absent and not policy.wait_for_absent:
                raise
            delay = policy.delay(attempt, error)
            spent = clock() - start
            if spent + delay > policy.total:
                raise error.final(
                    f"gave up after {attempt + 1} tries in {spent:.0f} s (limit {policy.total:.0f} s): {error}{remedy}"
                ) from error
            on_retry()
            sleep(delay)
            attempt += 1
