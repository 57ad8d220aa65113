"""Threads that nobody has to wait for: neither a caller that is interrupted, nor an interpreter that ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition, Thread
from types import TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")
MOMENT = 0.2
"""Seconds."""


class Background:
    """Works off calls in order. `ThreadPoolExecutor` would wait for a running call, a model's slow answer say."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed, self._closed = Condition(), False
        self._threads = [Thread(target=self._run, name=f"{name}_{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Its result, or what it raised, to come."""
        future: Future[Result] = Future()
        with self._changed:
            self._calls.append((future, call))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Drop the calls that have not begun. One that runs has a moment to end, then it is left to itself."""
        with self._changed:
            self._closed = True
            for future, _ in self._calls:
                future.cancel()
            self._calls.clear()
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
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            finally:
                del work, future, call  # else the last result would stay in memory while the thread waits

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next call that nobody has cancelled. None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._calls or self._closed)
                if self._closed:
                    return None
                future, call = self._calls.popleft()
                if future.set_running_or_notify_cancel():
                    return future, call
