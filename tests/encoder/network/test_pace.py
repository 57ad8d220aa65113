"""When short texts are split over all cores, and when one core reads them. Time is made up here."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from jina_v3_encoder.network.pace import FIRST_PAUSE, LONGEST_PAUSE, Pace
from jina_v3_encoder.network.team import Team

Result = TypeVar("Result")


class Machine:
    """A clock that goes on by what the next call costs, and a team that notes how it was asked."""

    threads = 2

    def __init__(self, together: float, alone: float) -> None:
        self.costs = {"together": together, "alone": alone}
        self.now, self.calls = 100.0, list[str]()

    def _run(self, way: str, work: Callable[[], Result]) -> Result:
        self.calls.append(way)
        return work()

    def work(self) -> int:
        self.now += self.costs[self.calls[-1]]
        return 7

    def together(self, work: Callable[[], Result]) -> Result:
        return self._run("together", work)

    def alone(self, work: Callable[[], Result]) -> Result:
        return self._run("alone", work)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(together=0.01, alone=0.018)
    monkeypatch.setattr(time, "perf_counter", lambda: machine.now)
    monkeypatch.setattr(time, "monotonic", lambda: machine.now)
    return machine


def asked(pace: Pace, machine: Machine, times: int, tokens: int = 12) -> list[str]:
    before = len(machine.calls)
    assert [pace.run(machine.work, tokens) for _ in range(times)] == [7] * times
    return machine.calls[before:]


def test_an_idle_machine_splits_after_one_try_alone(machine: Machine) -> None:
    pace = Pace(machine)  # type: ignore[arg-type]
    assert asked(pace, machine, 5) == ["together", "alone", "together", "together", "together"]


def test_one_core_that_is_a_little_faster_is_taken(machine: Machine) -> None:
    """Where splitting costs more than the second core brings, as for few tokens or slow wake-ups."""
    machine.costs = {"together": 0.02, "alone": 0.018}
    calls = asked(Pace(machine), machine, 1000)  # type: ignore[arg-type]
    assert calls.count("together") < 20


def test_a_busy_machine_does_not_and_tries_again_more_and_more_seldom(machine: Machine) -> None:
    pace = Pace(machine)  # type: ignore[arg-type]
    asked(pace, machine, 3)
    machine.costs = {"together": 1.0, "alone": 0.04}
    calls = asked(pace, machine, 1000)
    tries = [number for number, call in enumerate(calls) if call == "together"]
    assert tries[0] == 0
    gaps = [after - before for before, after in itertools.pairwise(tries)]
    assert gaps[0] <= FIRST_PAUSE / 0.04 + 2
    assert gaps == sorted(gaps)
    assert max(gaps) <= LONGEST_PAUSE / 0.04 + 2
    assert len(tries) < 15


def test_it_splits_again_when_the_other_process_is_gone(machine: Machine) -> None:
    pace = Pace(machine)  # type: ignore[arg-type]
    machine.costs = {"together": 1.0, "alone": 0.04}
    asked(pace, machine, 100)
    machine.costs = {"together": 0.01, "alone": 0.018}
    machine.now += LONGEST_PAUSE
    assert set(asked(pace, machine, 10)) == {"together"}


def test_texts_of_another_size_have_their_own_times(machine: Machine) -> None:
    """A long text that takes its time is no sign of a busy machine."""
    pace = Pace(machine)  # type: ignore[arg-type]
    asked(pace, machine, 3, tokens=12)
    machine.costs = {"together": 0.1, "alone": 0.18}
    assert asked(pace, machine, 3, tokens=200) == ["together", "alone", "together"]


def test_one_thread_has_nothing_to_split() -> None:
    assert Pace(Team(1)).run(lambda: 7, 12) == 7
