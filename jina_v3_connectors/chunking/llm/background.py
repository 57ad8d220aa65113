"""Calls that wait for others, in threads that nobody has to wait for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from threading import Condition, Thread
from types import TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")
MOMENT = 0.2
"""Seconds."""
LEFT = "the answer is not waited for any more"


class Background:
    """Works off calls in order, as questions to a model far away. `ThreadPoolExecutor` would wait for the answers.

    The threads are daemons: an interpreter that ends stops them wherever they are. That is safe while they wait in
    Python for a socket. Inside a library in Rust or C++ it would end the process by an abort: compute in other threads.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed, self._closed = Condition(), False
        self._running: set[Future[Any]] = set()
        self._threads = [Thread(target=self._run, name=f"{name}_{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Its result, or what it raised, to come.

        Raises:
            CancelledError: it is closed.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise CancelledError(LEFT)
            self._calls.append((future, call))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Leave the calls to themselves: who waits for one gets CancelledError. Any thread may close, also twice."""
        with self._changed:
            self._closed = True
            for future, _ in self._calls:
                future.cancel()
            self._calls.clear()
            while self._running:
                self._running.pop().set_exception(CancelledError(LEFT))
            self._changed.notify_all()
        end = time.monotonic() + MOMENT
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            future, call = work
            try:
                tell = partial(future.set_result, call())
            except BaseException as error:
                tell = partial(future.set_exception, error)
            with self._changed:
                if future in self._running:  # else it was left to itself
                    self._running.remove(future)
                    tell()
            del work, future, call, tell  # else the last answer would stay in memory while the thread waits

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next call that nobody has cancelled. None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._calls or self._closed)
                if self._closed:
                    return None
                future, call = self._calls.popleft()
                if future.set_running_or_notify_cancel():
                    self._running.add(future)
                    return future, call
