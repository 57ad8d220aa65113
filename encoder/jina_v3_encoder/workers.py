"""Processes that hold an encoder and answer calls. On Linux they share one copy of the weights.

A template process loads and packs the model on one thread, so that no thread pool exists when it forks the workers:
they see its weights copy on write. Elsewhere each worker loads its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from multiprocessing.process import BaseProcess
from queue import Empty
from typing import Any, NamedTuple

from .errors import InvalidInput, JinaV3Error

POLL_SECONDS = 1.0


class Call(NamedTuple):
    """A method of the encoder, for one worker."""

    number: int
    method: str
    arguments: tuple[Any, ...]
    settings: dict[str, Any]


class Answer(NamedTuple):
    """What a worker sends back; `tokens` were read for it."""

    number: int
    value: Any
    error: BaseException | None
    tokens: int = 0


@dataclass(frozen=True)
class Plan:
    """What the template process is to do."""

    name: str
    settings: dict[str, Any]
    cores: list[list[int]]


def plan_cores(workers: int | None) -> list[list[int]]:
    """The cores that this process may use, dealt out to `workers` (None: one worker for each core).

    Raises:
        InvalidInput: not from 1 to the number of cores.
    """
    available = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))
    workers = len(available) if workers is None else workers
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
        arguments = (plan, self._calls, self._answers)
        self._processes: list[BaseProcess]
        if sys.platform == "linux":
            self._processes = [spawn.Process(target=_template, args=arguments, name="jina-v3-template")]
        else:
            self._processes = [spawn.Process(target=_load_and_serve, args=(*arguments, cores)) for cores in plan.cores]
        for process in self._processes:
            process.start()

    def call(self, calls: Iterable[tuple[str, tuple[Any, ...], dict[str, Any]]]) -> Iterator[tuple[int, Answer]]:
        """Answers with the place of their call, as they come.

        Raises:
            JinaV3Error: a worker died.
        """
        places = {next(self._numbers): (place, call) for place, call in enumerate(calls)}
        for number, (_, call) in places.items():
            self._calls.put(Call(number, *call))
        while places:
            answer = self._next()
            if answer.number in places:
                yield places.pop(answer.number)[0], answer

    def close(self) -> None:
        """Let workers finish what they have and end."""
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
                        "a worker process ended before it answered, perhaps for want of memory; try fewer workers"
                    ) from None
                continue
            return answer


def _template(plan: Plan, calls: Any, answers: Any) -> None:
    """Load once on one thread, fork the workers, and end with them or with the parent."""
    import torch

    torch.set_num_threads(1)
    encoder = _load(plan, answers)
    if encoder is None:
        return
    encoder.fingerprint  # noqa: B018 - computed once, before the forks
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_serve, args=(encoder, calls, answers, cores)) for cores in plan.cores]
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
    encoder = _load(plan, answers)
    if encoder is not None:
        _serve(encoder, calls, answers, cores)


def _load(plan: Plan, answers: Any) -> Any:
    from .encoder import Encoder

    try:
        return Encoder.from_pretrained(plan.name, device="cpu", **plan.settings)
    except BaseException as error:
        answers.put(Answer(0, None, _sendable(error)))
        return None


def _serve(encoder: Any, calls: Any, answers: Any, cores: list[int]) -> None:
    """Answer calls on `cores` until None comes."""
    import torch

    from .usage import count_usage

    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    while (call := calls.get()) is not None:
        try:
            found = getattr(encoder, call.method)
            with count_usage() as usage:
                value = found(*call.arguments, **call.settings) if callable(found) else found
            answers.put(Answer(call.number, value, None, usage.tokens))
        except BaseException as error:
            answers.put(Answer(call.number, None, _sendable(error)))


def _sendable(error: BaseException) -> BaseException:
    """Ours as it is; others as text, since not every exception can be pickled."""
    if isinstance(error, JinaV3Error):
        return error
    return RuntimeError("".join(traceback.format_exception(error)))
