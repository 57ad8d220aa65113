"""Chooses whether a short text's operations are split over all cores, or one core does it all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .attention import round_up
from .team import Team

SLOW = 1.5
"""Times the seconds that one core needs. Beyond, splitting does not pay."""
SLOW_ALONE_UNKNOWN = 3.0
"""Times the best seen with all cores, while one core's time is not known."""
SIZES_PER_OCTAVE = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds without another try. They double with each try that fails."""
Result = TypeVar("Result")


class Pace:
    """Splits short work over all cores as long as that is fast.

    All cores are fastest on an idle machine. Beside another busy process they wait for each other, and one core alone
    is many times as fast. Nothing tells beforehand, so the time of each call decides about the next ones.
    """

    def __init__(self, team: Team) -> None:
        self.team = team
        self._lock = threading.Lock()
        self._together: dict[int, float] = {}
        """Least seconds by size, with all cores."""
        self._alone: dict[int, float] = {}
        """Least seconds by size, with one core."""
        self._pause, self._until = FIRST_PAUSE, 0.0

    def run(self, work: Callable[[], Result], tokens: int) -> Result:
        """The result of `work`, which reads so many tokens."""

        def timed() -> tuple[Result, float]:
            start = time.perf_counter()
            return work(), time.perf_counter() - start

        size = round_up(tokens, SIZES_PER_OCTAVE)
        split = self._splits(size)
        result, seconds = self.team.together(timed) if split else self.team.alone(timed)
        self._note(size, seconds, split=split)
        return result

    def _splits(self, size: int) -> bool:
        """One core once for each size, to learn its time. Otherwise all, but for the pauses."""
        with self._lock:
            if self.team.threads == 1 or (size in self._together and size not in self._alone):
                return False
            return time.monotonic() >= self._until

    def _note(self, size: int, seconds: float, *, split: bool) -> None:
        with self._lock:
            least = self._together if split else self._alone
            least[size] = min(seconds, least.get(size, seconds))
            if not split:
                return
            limit = SLOW * self._alone[size] if size in self._alone else SLOW_ALONE_UNKNOWN * self._together[size]
            never_pays = self._alone.get(size, seconds) < self._together[size]
            if seconds > limit or never_pays:
                self._until = time.monotonic() + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
            else:
                self._pause = FIRST_PAUSE
