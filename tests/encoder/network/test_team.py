"""Threads that share the work of a process."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from jina_v3_encoder.network.team import WAITING, Team, team_of


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
    threads = []

    def work(seconds: float) -> None:
        threads.append(threading.get_ident())
        time.sleep(seconds)

    list(team.each(partial(work, seconds) for seconds in (0.2, 0, 0, 0)))
    assert len(set(threads[1:])) == 1
    assert threads[0] != threads[1]


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
