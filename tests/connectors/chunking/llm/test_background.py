"""Threads that nobody has to wait for."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import CancelledError, Future
from functools import partial

import pytest

from jina_v3_connectors.chunking.llm.background import LEFT, Background


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("of-this-test")]


def test_calls_are_worked_off_in_order_in_another_thread() -> None:
    threads, order = [], []

    def note(number: int) -> int:
        threads.append(threading.current_thread().name)
        order.append(number)
        return number * 2

    with Background("of-this-test") as background:
        futures = [background.submit(partial(note, number)) for number in range(20)]
        assert [future.result(10) for future in futures] == [number * 2 for number in range(20)]
    assert order == list(range(20))
    assert set(threads) == {"of-this-test_0"}
    assert names() == []


def test_what_a_call_raises_is_raised_by_its_future_alone() -> None:
    def fails() -> None:
        raise KeyError("this one")

    with Background("of-this-test") as background:
        bad, good = background.submit(fails), background.submit(lambda: 1)
        with pytest.raises(KeyError, match="this one"):
            bad.result(10)
        assert good.result(10) == 1


def test_several_threads_work_at_once() -> None:
    together = threading.Barrier(3)
    with Background("of-this-test", 3) as background:
        futures = [background.submit(partial(together.wait, 10)) for _ in range(3)]
        assert sorted(future.result(10) for future in futures) == [0, 1, 2]


def test_the_end_waits_for_no_call() -> None:
    """Who waits is told; what has not begun is dropped; the answer that comes late is nobody's."""
    begun, release = threading.Event(), threading.Event()

    def waits() -> bool:
        begun.set()
        return release.wait(60)

    told: list[type[BaseException]] = []

    def wait_for(future: Future[bool]) -> None:
        try:
            future.result(60)
        except CancelledError as error:
            told.append(type(error))

    with Background("of-this-test") as background:
        running, dropped = background.submit(waits), background.submit(lambda: True)
        assert begun.wait(10)
        waiting = threading.Thread(target=wait_for, args=(running,))
        waiting.start()
    waiting.join(10)
    assert told == [CancelledError]
    assert dropped.cancelled()
    with pytest.raises(CancelledError, match=LEFT):
        background.submit(lambda: True)
    release.set()
    for thread in threading.enumerate():
        if thread.name == "of-this-test_0":
            thread.join(10)
    assert names() == []
    with pytest.raises(CancelledError, match=LEFT):
        running.result(0)
    background.close()


def test_a_cancelled_call_is_passed_over() -> None:
    release = threading.Event()
    with Background("of-this-test") as background:
        background.submit(partial(release.wait, 10))
        cancelled, after = background.submit(lambda: 1), background.submit(lambda: 2)
        assert cancelled.cancel()
        release.set()
        assert after.result(10) == 2


def test_an_interpreter_that_ends_waits_for_no_call() -> None:
    program = (
        "import time\nfrom jina_v3_connectors.chunking.llm.background import LEFT, Background\n"
        "with Background('slow', 2) as background:\n    background.submit(lambda: time.sleep(120))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
