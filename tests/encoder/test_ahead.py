from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from jina_v3_encoder.encoder import _ahead as ahead


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_the_same_items_in_order(count: int) -> None:
    assert list(ahead(iter(range(count)))) == list(range(count))


def test_the_next_item_is_made_while_one_is_in_use() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    blocks = ahead(items())
    assert next(blocks) == 1
    assert made.wait(5)
    assert list(blocks) == [2]


def test_an_error_rises_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("late")

    blocks = ahead(items())
    assert next(blocks) == 1
    time.sleep(0.05)
    with pytest.raises(ValueError, match="late"):
        next(blocks)
