"""The threads that compute on the CPU. All encoders and callers of a process share them.

Work is dealt out by batches: each thread computes whole batches alone, and takes the next when it is free. Splitting
each operation over all cores, as torch does, has a barrier after every operation. Beside another busy process one core
always comes late there, and all wait for it: thousands of times in a batch.

Operators of torch run in these threads only, never in a caller's. Each thread that splits an operator over cores gets
helpers of its own from OpenMP. With more such threads than cores, GNU's OpenMP lets helpers sleep after each operator
instead of waiting for the next: one query of 24 layers then takes half as long again.
"""

from __future__ import annotations

import atexit
import ctypes
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from ..errors import InvalidInput
from .cores import TORCH_SETTING

WAITING = 2
"""Works of a caller that wait for each thread. More would keep other callers waiting."""
SOFT_PAUSE = 1
"""`omp_pause_soft` of OpenMP 5."""
Result = TypeVar("Result")


class Team:
    """Threads that compute alone, for batches and for short work, and one thread whose operations use all cores."""

    def __init__(self, threads: int) -> None:
        """Start the threads.

        Raises:
            InvalidInput: the machine cannot start so many.
        """
        self.threads = threads
        self._batches, self._short = _Threads(threads, cores=1), _Threads(threads, cores=1)
        self._leader = self._short if threads == 1 else _Threads(1, cores=threads)

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


_teams: dict[int, Team] = {}


def team_of(threads: int) -> Team:
    """The process's team of so many threads. They start with the first call, and stay.

    Raises:
        InvalidInput: the machine cannot start so many.
    """
    with TORCH_SETTING:
        if threads not in _teams:
            _teams[threads] = Team(threads)
        return _teams[threads]


def release_helpers() -> None:
    """End the helpers that GNU's OpenMP keeps for the calling thread and all leaders. The next work starts new ones.

    For measurements: what one library leaves behind would slow the next one down. Nothing happens where torch has
    another OpenMP.
    """
    with suppress(AttributeError, OSError, TypeError):
        pause = ctypes.CDLL(None).omp_pause_resource_all
        pause(SOFT_PAUSE)
        for team in _teams.values():
            team.together(partial(pause, SOFT_PAUSE))


class _Threads:
    """Threads whose operations use `cores` cores each. Other threads keep torch's setting.

    They are daemons: a program may encode until its very end, and they do not keep it from ending.
    """

    def __init__(self, count: int, cores: int) -> None:
        self._works: SimpleQueue[tuple[int, Future[Any], Callable[[], Any]]] = SimpleQueue()
        started = threading.Semaphore(0)
        with TORCH_SETTING:
            before = torch.get_num_threads()
            try:
                for _ in range(count):
                    threading.Thread(
                        target=self._run, args=(cores, started), name="jina-v3-compute", daemon=True
                    ).start()
                    started.acquire()
            except RuntimeError as error:
                raise InvalidInput(f"threads={count} cannot be started here ({error}); pass a smaller number") from None
            finally:
                torch.set_num_threads(before)

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        if _ending.is_set():
            self._do(future, work)
        else:
            number = next(_numbers)
            _unfinished.add(number)
            self._works.put((number, future, work))
        return future

    def _run(self, cores: int, started: threading.Semaphore) -> None:
        """Set this thread's cores, then work.

        torch also takes the number as the default of new threads: `__init__` sets that back. Asked first, torch sets up
        the thread. Later it would overwrite the number.
        """
        torch.get_num_threads()
        torch.set_num_threads(cores)
        started.release()
        while True:
            number, future, work = self._works.get()
            self._do(future, work)
            del future, work  # what frees tensors is inside torch too
            _unfinished.discard(number)

    @staticmethod
    def _do(future: Future[Any], work: Callable[[], Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)


_numbers = itertools.count()
_unfinished: set[int] = set()
"""The numbers of the works that are not done."""
_ending = threading.Event()


@atexit.register
def _finish() -> None:
    """Wait for what is being computed, as a batch after Ctrl-C. The end of an interpreter stops daemons wherever they
    are, and inside torch that is an abort. Whoever still encodes after this computes in their own thread.
    """
    _ending.set()
    while _unfinished:
        time.sleep(0.005)


def _forget() -> None:
    """A process that was forked has none of these threads."""
    _teams.clear()
    _unfinished.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
