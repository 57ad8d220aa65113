"""Cores dealt out to workers, and errors that can travel."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

import pytest

from jina_v3_encoder.errors import InputTooLong, InvalidInput
from jina_v3_encoder.workers import _sendable, plan_cores

LINUX = sys.platform == "linux"


def given(cores: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    if LINUX:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    else:
        monkeypatch.setattr(os, "cpu_count", lambda: len(cores))


@pytest.mark.parametrize(
    ("workers", "plan"),
    [
        (None, [[0], [1], [2], [3], [4]]),
        (1, [[0, 1, 2, 3, 4]]),
        (2, [[0, 2, 4], [1, 3]]),
        (5, [[0], [1], [2], [3], [4]]),
    ],
)
def test_every_core_has_one_worker(workers: int | None, plan: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    given({0, 1, 2, 3, 4}, monkeypatch)
    assert plan_cores(workers) == plan


@pytest.mark.skipif(not LINUX, reason="affinity is Linux'")
def test_only_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    given({3, 9}, monkeypatch)
    assert plan_cores(2) == [[3], [9]]


@pytest.mark.parametrize("workers", [0, -1, 6, 1.5, "2", True])
def test_numbers_that_are_none(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given({0, 1, 2, 3, 4}, monkeypatch)
    with pytest.raises(InvalidInput, match="from 1 to 5"):
        plan_cores(workers)


def test_our_own_errors_travel_as_they_are() -> None:
    error = pickle.loads(pickle.dumps(_sendable(InputTooLong(3, 9000, 8192))))
    assert isinstance(error, InputTooLong)
    assert (error.index, error.tokens, error.limit) == (3, 9000, 8192)


def test_others_travel_as_text() -> None:
    class Local(Exception):
        """Cannot be pickled."""

    try:
        raise Local("of this place")
    except Local as error:
        sent = pickle.loads(pickle.dumps(_sendable(error)))
    assert isinstance(sent, RuntimeError)
    assert "of this place" in str(sent)
    assert "test_workers.py" in str(sent), "with its traceback"
