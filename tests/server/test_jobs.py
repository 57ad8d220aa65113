"""Rows and failures of a job."""

from __future__ import annotations

import numpy as np
import pytest

from jina_v3_connectors.server.jobs import Job
from jina_v3_connectors.server.models import Model
from jina_v3_encoder.testing import FakeEncoder

MODEL = Model("one", FakeEncoder())


def job(*tokens: int) -> Job:
    return Job(MODEL, [f"text {number}" for number in range(len(tokens))], tokens, None)


def test_rows_come_back_in_their_indexs() -> None:
    request = job(1, 1, 1)
    for index in (2, 0, 1):
        assert not request.result.done()
        request.finish(index, np.full((1, 2), index, dtype=np.float32))
    assert request.result.result()[:, 0].tolist() == [0, 1, 2]


def test_failing_or_finishing_twice_is_no_error() -> None:
    request = job(1)
    request.fail(ValueError("first"))
    request.fail(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        request.result.result()
