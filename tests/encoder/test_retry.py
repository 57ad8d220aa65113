"""Waits are drawn, bounded, and never shorter than the store asks; clocks are faked, so nothing here sleeps."""

from __future__ import annotations

import pytest

from jina_v3_connectors.errors import StoreBusy, StoreError, StoreNotFound
from jina_v3_encoder.retry import RetryPolicy, with_retries


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def time(self) -> float:
        return self.now


class Store:
    """Busy for the first calls."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def run(store: Store, clock: Clock, policy: RetryPolicy = RetryPolicy()) -> str:  # noqa: B008 - frozen
    return with_retries(store, policy, sleep=clock.sleep, clock=clock.time)


def test_what_works_at_once_never_waits() -> None:
    clock = Clock()
    assert run(Store(), clock) == "done"
    assert clock.slept == []


def test_busy_is_repeated_and_counted() -> None:
    clock, counted = Clock(), []
    store = Store(StoreBusy("503"), StoreBusy("503"))
    result = with_retries(store, RetryPolicy(), on_retry=lambda: counted.append(1), sleep=clock.sleep, clock=clock.time)
    assert (result, store.calls, len(counted), len(clock.slept)) == ("done", 3, 2, 2)


@pytest.mark.parametrize("error", [StoreError("refused"), StoreNotFound("gone"), ValueError("bug")])
def test_other_errors_are_final(error: Exception) -> None:
    store, clock = Store(error), Clock()
    with pytest.raises(type(error), match=str(error)):
        run(store, clock)
    assert (store.calls, clock.slept) == (1, [])


def test_a_stores_own_wish_is_waited_for_in_full() -> None:
    clock = Clock()
    run(Store(StoreBusy("429", retry_after=40.0)), clock)
    assert clock.slept == [40.0]


def test_waits_grow_and_stay_bounded() -> None:
    policy = RetryPolicy(first=1.0, longest=8.0)
    busy = StoreBusy("x")
    means = [sum(policy.delay(attempt, busy) for _ in range(400)) / 400 for attempt in range(8)]
    assert means[0] == pytest.approx(0.5, abs=0.1)
    assert means[2] == pytest.approx(2.0, abs=0.4)
    assert means[7] == pytest.approx(4.0, abs=0.8)
    assert max(policy.delay(1000, busy) for _ in range(50)) <= 8.0
    drawn = {round(policy.delay(3, busy), 6) for _ in range(20)}
    assert len(drawn) > 10, "jitter: clients do not come back together"


def test_time_is_bounded_and_the_last_reason_is_told() -> None:
    clock = Clock()
    store = Store(*[StoreBusy("the store is on holiday")] * 10_000)
    with pytest.raises(StoreError, match=r"gave up after \d+ tries in \d+ s \(limit 60 s\): the store is on holiday"):
        run(store, clock, RetryPolicy(first=1, longest=5, total=60))
    assert clock.now <= 60
    assert store.calls > 10


def test_a_wish_beyond_the_limit_is_not_waited_for() -> None:
    clock = Clock()
    with pytest.raises(StoreError, match="gave up after 1 tries in 0 s"):
        run(Store(StoreBusy("429", retry_after=3600)), clock, RetryPolicy(total=300))
    assert clock.slept == []


def test_an_absent_server_is_waited_for_only_if_wanted() -> None:
    clock = Clock()
    with pytest.raises(StoreBusy, match="refused"):
        run(Store(StoreBusy("refused", absent=True)), clock, RetryPolicy(wait_for_absent=False))
    assert clock.slept == []
    assert run(Store(StoreBusy("refused", absent=True)), clock, RetryPolicy()) is not None
