"""Processes that hold an engine and do work with it. On Linux they share one copy of the weights.

A template process loads and packs the model, and forks the workers: they see its weights copy on write. torch has
computed on one thread there, so its own pool of threads does not exist yet. Elsewhere each worker loads its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from multiprocessing.process import BaseProcess
from queue import Empty
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .engine import Engine
from .errors import InvalidInput, JinaV3Error
from .network.cores import granted_cores

if TYPE_CHECKING:
    from .encoder import LocalEngine

POLL_SECONDS = 1.0


Work: TypeAlias = Callable[[Engine], Any]
"""Something to do with an engine: a function, and arguments, that can be pickled."""


class Call(NamedTuple):
    """Work for one worker."""

    number: int
    work: Work


class Answer(NamedTuple):
    """What a worker sends back. It read `tokens` for it."""

    number: int
    value: Any
    error: BaseException | None
    tokens: int = 0


@dataclass(frozen=True)
class Plan:
    """Orders for the template process."""

    name: str
    settings: dict[str, Any]
    cores: list[list[int]]


def plan_cores(workers: int | None) -> list[list[int]]:
    """The cores that this process may use, dealt out to `workers` (None: one worker for each core).

    Raises:
        InvalidInput: not from 1 to the number of cores.
    """
    available = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))
    workers = granted_cores() if workers is None else workers
    if not isinstance(workers, int) or isinstance(workers, bool) or not 1 <= workers <= len(available):
        raise InvalidInput(
            f"workers must be a whole number from 1 to {len(available)}, the cores here, got {workers!r}"
        )
    return [available[start::workers] for start in range(workers)]


class WorkerGroup:
    """Processes that answer calls in any order."""

    def __init__(self, plan: Plan) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._calls, self._answers = spawn.Queue(), spawn.Queue()
        self._numbers = count()
        self._workers = len(plan.cores)
        self.threads = sum(map(len, plan.cores))
        arguments = (plan, self._calls, self._answers)
        self._processes: list[BaseProcess]
        if sys.platform == "linux":
            self._processes = [spawn.Process(target=_template, args=arguments, name="jina-v3-template")]
        else:
            self._processes = [spawn.Process(target=_load_and_serve, args=(*arguments, cores)) for cores in plan.cores]
        for process in self._processes:
            process.start()

    def call(self, works: Iterable[Work]) -> Iterator[tuple[int, Answer]]:
        """Answers with the number of their work, as they come.

        Raises:
            JinaV3Error: a worker died.
        """
        pending: dict[int, int] = {}
        for number, work in enumerate(works):
            call = Call(next(self._numbers), work)
            pending[call.number] = number
            self._calls.put(call)
        while pending:
            answer = self._next()
            if answer.number in pending:
                yield pending.pop(answer.number), answer

    def close(self) -> None:
        """Let workers finish their work, then end them."""
        for _ in range(self._workers):
            self._calls.put(None)
        for process in self._processes:
            process.join(timeout=30)
            if process.is_alive():
                process.terminate()

    def _next(self) -> Answer:
        while True:
            try:
                answer: Answer = self._answers.get(timeout=POLL_SECONDS)
            except Empty:
                if not all(process.is_alive() for process in self._processes):
                    raise JinaV3Error(
                        "a worker process ended before it answered, perhaps because memory ran out; try fewer workers"
                    ) from None
                continue
            return answer


def _template(plan: Plan, calls: Any, answers: Any) -> None:
    """Load once on one thread, fork the workers, and end with them or with the parent."""
    import torch

    torch.set_num_threads(1)
    engine = _load(plan, answers)
    if engine is None:
        return
    engine.info.settled()  # the fingerprint is computed once, before the forks
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_serve, args=(engine, calls, answers, cores)) for cores in plan.cores]
    for worker in workers:
        worker.start()
    parent = multiprocessing.parent_process()
    while any(worker.is_alive() for worker in workers):
        died = any(worker.exitcode for worker in workers)
        if died or parent is None or not parent.is_alive():
            for worker in workers:
                worker.kill()
            os._exit(1)
        workers[0].join(POLL_SECONDS)


def _load_and_serve(plan: Plan, calls: Any, answers: Any, cores: list[int]) -> None:
    engine = _load(plan, answers)
    if engine is not None:
        _serve(engine, calls, answers, cores)


def _load(plan: Plan, answers: Any) -> LocalEngine | None:
    from .encoder import Encoder

    try:
        return Encoder.from_pretrained(plan.name, device="cpu", threads=1, **plan.settings).engine
    except BaseException as error:
        answers.put(Answer(0, None, _sendable(error)))
        return None


def _serve(engine: LocalEngine, calls: Any, answers: Any, cores: list[int]) -> None:
    """Answer calls on `cores` until None comes."""

    from .usage import count_usage

    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)
    engine = engine.with_threads(len(cores))
    while (call := calls.get()) is not None:
        try:
            with count_usage() as usage:
                value = call.work(engine)
            answers.put(Answer(call.number, value, None, usage.tokens))
        except BaseException as error:
            answers.put(Answer(call.number, None, _sendable(error)))


def _sendable(error: BaseException) -> BaseException:
    """Errors of this project as they are. Others become text, since not every exception can be pickled."""
    if isinstance(error, JinaV3Error):
        return error
    return RuntimeError("".join(traceback.format_exception(error)))
