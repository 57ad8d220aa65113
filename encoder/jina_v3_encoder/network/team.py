"""The threads that compute on the CPU. All encoders and callers of a process share them.

Work is dealt out by batches: each thread computes whole batches alone, and takes the next when it is free. Splitting
each operation over all cores, as torch does, has a barrier after every operation. Beside another busy process one core
always comes late there, and all wait for it: thousands of times in a batch.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

WAITING = 2
"""Works of a caller that wait for each thread. More would keep other callers waiting."""
Result = TypeVar("Result")


class Team:
    """Threads that compute alone, for batches and for short work, and one thread whose operations use all cores."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._batches, self._short = _pool(threads, cores=1), _pool(threads, cores=1)
        self._leader = self._short if threads == 1 else _pool(1, cores=threads)

    def each(self, works: Iterable[Callable[[], Result]]) -> Iterator[Result]:
        """Results in the order of the works. Each work is done by one thread alone."""
        pending: deque[Future[Result]] = deque()
        try:
            for work in works:
                pending.append(self._batches.submit(work))
                if len(pending) >= WAITING * self.threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    def alone(self, work: Callable[[], Result]) -> Result:
        """The result of a work that one thread does. It does not wait for batches."""
        return self._short.submit(work).result()

    def together(self, work: Callable[[], Result]) -> Result:
        """The result of a work whose operations are each split over all cores. Fastest for little work, if cores are
        idle."""
        return self._leader.submit(work).result()


@cache
def team_of(threads: int) -> Team:
    """The process's team of so many threads. Its threads start with the first call."""
    return Team(threads)


def _pool(threads: int, *, cores: int) -> ThreadPoolExecutor:
    """Threads whose operations use `cores` cores each. Other threads keep torch's setting."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "jina-v3-compute", initializer=_use, initargs=(cores,))
    started = threading.Barrier(threads)
    list(pool.map(lambda _: started.wait(), range(threads)))
    torch.set_num_threads(before)
    return pool


def _use(cores: int) -> None:
    """Set this thread's cores. torch also takes the number as the default of new threads: `_pool` sets that back.

    Asked first, torch sets up the thread. Later it would overwrite the number.
    """
    torch.get_num_threads()
    torch.set_num_threads(cores)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=team_of.cache_clear)
