"""Several processes give what one gives, in order, and end when they should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_encoder import EncoderPool
from jina_v3_encoder import pool as module
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.engine import TextRequest
from jina_v3_encoder.errors import CheckpointNotFound, InputTooLong, InvalidInput, JinaV3Error
from jina_v3_encoder.pool import PoolEngine, parts_of
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.workers import Answer, plan_cores

TEXTS = [f"Text number {number} tells of {'many ' * (number % 17)}things." for number in range(60)]
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@pytest.fixture(scope="module")
def pool(original_folder: Path) -> Iterator[EncoderPool]:
    with EncoderPool(original_folder, workers=min(2, CORES), dtype="float32") as pool:
        yield pool


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_CHARACTERS", 200)


def test_what_it_says_of_itself(pool: EncoderPool, encoder: Encoder) -> None:
    assert pool.tokenizer_file == encoder.tokenizer_file
    assert repr(pool) == f"EncoderPool({encoder.model_id!r}, 64 dimensions, {pool.workers} workers)"


def test_it_goes_on_after_progress_failed(pool: EncoderPool, encoder: Encoder) -> None:
    request = TextRequest(texts=TEXTS, tasks=[None] * len(TEXTS), dimensions=64, prompt=True, truncate=False)

    def fails(_: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as kept:
        pool.engine.text_means(request, fails)
    assert np.allclose(pool.encode(TEXTS), encoder.encode(TEXTS), atol=1e-5), f"while {kept} is kept"


class OneAfterTheOther:
    """Workers that are done in a given order. Parts that begin with 'bad' are too long."""

    threads = 1

    def __init__(self, order: list[int]) -> None:
        self.order, self.answered = order, 0

    def call(self, works: Sequence[partial[Any]]) -> Iterator[tuple[int, Answer]]:
        if len(works) == 1:
            yield 0, Answer(0, FakeEncoder().info, None)
            return
        for number in self.order:
            self.answered += 1
            (request,) = works[number].args
            bad = request.texts[0].startswith("bad")
            error = InputTooLong(request.first, 600, 512) if bad else None
            yield number, Answer(number, None if bad else np.ones((len(request.texts), 64)), error, tokens=1)


@pytest.mark.parametrize(
    ("order", "answered"),
    [([3, 2, 0, 1, 4], 4), ([1, 0, 3, 2, 4], 2), ([0, 1, 2, 3, 4], 2), ([4, 3, 2, 1, 0], 5)],
    ids=str,
)
def test_the_first_text_that_is_too_long_is_named(order: list[int], answered: int) -> None:
    """Whichever part is done first. Later parts are not waited for."""
    workers = OneAfterTheOther(order)
    texts = [f"{'bad' if number in (1, 3) else 'good'} {'word ' * 40}" for number in range(5)]
    with pytest.raises(InputTooLong, match="text 1 has") as caught:
        TextEncoder(PoolEngine(workers)).encode(texts)  # type: ignore[arg-type]
    assert (caught.value.index, workers.answered) == (1, answered)


@pytest.mark.parametrize("workers", [0, -1, 10_000, 1.5, True, "2"])
def test_workers_out_of_range(workers: object) -> None:
    with pytest.raises(InvalidInput, match=f"workers must be a whole number from 1 to {CORES}"):
        plan_cores(workers)  # type: ignore[arg-type]


def test_cores_are_dealt_out() -> None:
    assert sorted(core for cores in plan_cores(None) for core in cores) == sorted(plan_cores(1)[0])
    assert len(plan_cores(None)) == CORES


@pytest.mark.parametrize("lengths", [[], [1], [10_000], [150, 100, 5, 5, 300], [1] * 450])
def test_parts_are_neighbours_and_leave_nothing_out(lengths: list[int]) -> None:
    parts = list(parts_of(lengths))
    assert [index for part in parts for index in range(part.start, part.stop)] == list(range(len(lengths)))
    assert all(sum(lengths[part]) >= 200 for part in parts[:-1])


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound, match="is no folder"):
        EncoderPool(tmp_path / "nothing", workers=1)


def test_a_closed_pool_says_so(original_folder: Path) -> None:
    pool = EncoderPool(original_folder, workers=1)
    pool.close()
    pool.close()
    with pytest.raises(JinaV3Error, match="is closed"):
        pool.encode("a text")


SCRIPT = """
import os, sys, time
from jina_v3_encoder import EncoderPool
if __name__ == "__main__":
    pool = EncoderPool(sys.argv[1], workers=1)
    sys.stdout.write(f"{pool.engine.group._processes[0].pid}\\n")
    sys.stdout.flush()
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_when_their_parent_is_killed(original_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, str(script), str(original_folder)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    template = Path("/proc") / parent.stdout.readline().strip()
    assert template.exists()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while _runs(template) and time.monotonic() < until:
        time.sleep(0.1)
    assert not _runs(template)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_that_dies_is_noticed(original_folder: Path) -> None:
    with EncoderPool(original_folder, workers=1) as pool:
        (template,) = pool.engine.group._processes
        children = Path(f"/proc/{template.pid}/task/{template.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        with pytest.raises(JinaV3Error, match="try fewer workers"):
            pool.encode(TEXTS)


def _runs(process: Path) -> bool:
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except OSError:
        return False
