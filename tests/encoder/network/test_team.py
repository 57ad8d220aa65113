"""Threads that share the work of a process."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from jina_v3_encoder.network.team import WAITING, Team, release_helpers, team_of


def has_gnu_openmp() -> bool:
    """Whether torch has the OpenMP that `release_helpers` knows, on Linux."""
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "omp_pause_resource_all")


@pytest.fixture(scope="module")
def team() -> Team:
    return Team(2)


def test_results_come_in_order_whoever_is_first(team: Team) -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 2 else 0.001)
        return number

    assert list(team.each(partial(work, number) for number in range(9))) == list(range(9))


def test_a_thread_takes_the_next_work_when_it_is_free(team: Team) -> None:
    """One slow work does not keep the others waiting."""
    last_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert last_is_done.wait(30), "the other thread did not take all others"
        if number == 3:
            last_is_done.set()
        return threading.get_ident()

    first, *others = team.each(partial(work, number) for number in range(4))
    assert len(set(others)) == 1
    assert first not in others


def test_callers_that_come_at_the_same_time_share_one_team() -> None:
    """And torch's own number of threads is as before."""
    code = (
        "import threading, torch; from jina_v3_encoder.network.team import team_of\n"
        "torch.set_num_threads(4); start = threading.Barrier(6); teams = []\n"
        "def ask(): start.wait(); teams.append(team_of(2))\n"
        "threads = [threading.Thread(target=ask) for _ in range(6)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "print(len(set(map(id, teams))), torch.get_num_threads())"
    )
    assert run(code) == "1 4\n"


def test_a_program_may_encode_until_its_very_end() -> None:
    """A thread that goes on after the main one, and a function that runs at exit."""
    code = (
        "import atexit, threading; from jina_v3_encoder import Encoder\n"
        "encoder = Encoder.from_pretrained('nano', threads=2)\n"
        "def show(): print(encoder.encode(['hello'] * 300).shape)\n"
        "def later(): threading.main_thread().join(); show()\n"
        "atexit.register(show); threading.Thread(target=later).start()"
    )
    assert run(code) == "(300, 384)\n" * 2


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout


def test_one_thread_does_all_short_work() -> None:
    team = Team(1)
    assert team.together(threading.get_ident) == team.alone(threading.get_ident)


def test_works_of_a_caller_are_made_when_they_are_needed(team: Team) -> None:
    """A large corpus neither fills the memory nor keeps other callers waiting."""
    made = 0

    def works() -> Iterator[partial[int]]:
        nonlocal made
        for number in range(100):
            made += 1
            yield partial(int, number)

    results = team.each(works())
    assert next(results) == 0
    assert made <= WAITING * team.threads
    results.close()  # type: ignore[attr-defined]


def test_an_error_is_raised_in_its_turn_and_the_team_goes_on(team: Team) -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("this one")
        return number

    results = team.each(partial(work, number) for number in (1, 2, 3))
    assert next(results) == 1
    with pytest.raises(ValueError, match="this one"):
        next(results)
    assert team.alone(lambda: 5) == team.together(lambda: 5) == 5


def test_each_thread_has_its_own_number_of_cores() -> None:
    """And threads of others keep theirs, also those that start later."""
    before = torch.get_num_threads()
    team = Team(3)
    assert list(team.each([torch.get_num_threads] * 5)) == [1] * 5
    assert (team.alone(torch.get_num_threads), team.together(torch.get_num_threads)) == (1, 3)
    assert torch.get_num_threads() == before
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [before]


def test_short_work_does_not_wait_for_batches(team: Team) -> None:
    going_on = threading.Event()
    batches = team.each([lambda: going_on.wait(30)] * 4)
    first = threading.Thread(target=lambda: next(batches))
    first.start()
    assert team.alone(lambda: 5) == 5
    assert not going_on.is_set()
    going_on.set()
    first.join()
    assert list(batches) == [True] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_a_team_of_its_own() -> None:
    """Threads do not survive a fork. A child that waited for them would wait for ever."""
    assert team_of(2).alone(os.getpid) == os.getpid()
    child = multiprocessing.get_context("fork").Process(target=_ask_in_child)
    child.start()
    child.join(30)
    assert child.exitcode == 0


def _ask_in_child() -> None:
    os._exit(0 if team_of(2).alone(os.getpid) == os.getpid() else 1)


TASKS = Path("/proc/self/task")
HELPERS = """
import ctypes, os
from jina_v3_encoder import Encoder

encoder = Encoder.from_pretrained("nano", threads=2)
encoder.encode(["one", "two words"] * 300)
encoder.encode("one query", task="retrieval.query")
encoder.encode_spans("three words here " * 800, [(0, 5), (6, 400)])
encoder.fingerprint
before = len(os.listdir("/proc/self/task"))
ctypes.CDLL(None).omp_pause_resource_all(1)
print(before - len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not has_gnu_openmp(), reason="torch has another OpenMP here, whose helpers do not mind each other")
def test_a_callers_thread_gets_no_helpers() -> None:
    """More helpers than cores would sleep after each operator of a query."""
    ended = subprocess.run([sys.executable, "-c", HELPERS], check=True, capture_output=True, text=True).stdout
    assert ended == "0\n", "encoding started helpers of OpenMP for the thread that asked for it"


@pytest.mark.skipif(not has_gnu_openmp(), reason="torch has another OpenMP here")
def test_helpers_are_released_and_start_again() -> None:
    team = team_of(2)
    wanted = team.together(lambda: torch.ones(2**20).add_(1).sum())
    threads = len(list(TASKS.iterdir()))
    release_helpers()
    assert len(list(TASKS.iterdir())) < threads
    assert team.together(lambda: torch.ones(2**20).add_(1).sum()) == wanted == 2**21


INTERRUPTED = """
import _thread, atexit, sys, threading, time
from functools import partial
atexit.register(lambda: print("later", list(team.each([lambda: 1, lambda: 2])), team.alone(lambda: 3)))
import torch
from jina_v3_encoder.network.team import team_of

def work(states):
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        states = torch.tanh(states @ states)
    return states

team = team_of(int(sys.argv[1]))
threading.Timer(0.7, _thread.interrupt_main).start()
try:
    for states in team.each(partial(work, torch.rand(300, 300)) for _ in range(100)):
        pass
except KeyboardInterrupt:
    sys.exit(3)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interpreter_that_ends_lets_computations_end(threads: int) -> None:
    """Stopped inside torch, a thread would abort the process. What is registered to run at the end may compute."""
    command = [sys.executable, "-c", INTERRUPTED, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stdout == "later [1, 2] 3\n"
    assert "terminate" not in done.stderr
