"""The order in which waiting texts go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_connectors.server.jobs import Job, LargeJobs, Piece, SmallJobs


def job(*tokens: int, name: str = "t") -> Job:
    return Job([f"{name}{place}" for place in range(len(tokens))], tokens, None)


def sizes(pieces: Sequence[Piece]) -> list[int]:
    return [own.tokens[place] for own, place in pieces]


def names(pieces: Sequence[Piece]) -> list[str]:
    return [own.texts[place] for own, place in pieces]


def test_texts_of_like_length_go_together() -> None:
    queue = LargeJobs()
    queue.add(job(10, 90, 50))
    queue.add(job(52, 11, 89))
    assert sizes(queue.take(200).pieces) == [89, 90]
    assert sizes(queue.take(110).pieces) == [50, 52]
    assert sizes(queue.take(110).pieces) == [10, 11]
    assert not queue


def test_the_nearer_neighbour_goes_first() -> None:
    queue = LargeJobs()
    queue.add(job(50))
    queue.add(job(20, 45, 49, 60, 90))
    assert sizes(queue.take(50 + 49 + 45).pieces) == [45, 49, 50]


def test_what_does_not_fit_below_may_fit_above_and_the_reverse() -> None:
    queue = LargeJobs()
    queue.add(job(50))
    queue.add(job(48, 70))
    assert sizes(queue.take(50 + 48 + 10).pieces) == [48, 50]
    assert sizes(queue.take(1).pieces) == [70], "alone, however large"


def test_requests_take_turns_to_lead() -> None:
    queue = LargeJobs()
    queue.add(job(100, 100, 100, name="a"))
    queue.add(job(10, 10, 10, name="b"))
    led = [names(queue.take(100).pieces) for _ in range(4)]
    assert [own[0][0] for own in led] == ["a", "b", "a", "a"]
    assert len(led[1]) == 3
    assert not queue


def test_a_cancelled_request_gives_its_tokens_back() -> None:
    queue = LargeJobs()
    left, stays = job(5, 6, 7), job(8)
    queue.add(left)
    queue.add(stays)
    left.result.cancel()
    taken = queue.take(100)
    assert (sizes(taken.pieces), taken.tokens, taken.gone) == ([8], 8, 26)
    assert not queue


def test_texts_of_a_cancelled_request_fill_no_batch() -> None:
    queue = LargeJobs()
    stays, left = job(10, name="s"), job(10, 11, name="l")
    queue.add(stays)
    queue.add(left)
    left.result.cancel()
    taken = queue.take(100)
    assert (names(taken.pieces), taken.gone) == (["s0"], 31)
    assert not queue
    assert queue.take(100).pieces == []


@pytest.mark.parametrize("kind", [LargeJobs, SmallJobs])
def test_what_is_left_of_a_failed_request_is_dropped(kind: type[LargeJobs | SmallJobs]) -> None:
    queue = kind()
    failed, stays = job(5, 6), job(70)
    queue.add(failed)
    queue.add(stays)
    failed.fail(ValueError("a text of it could not be read"))
    taken = queue.take(1)
    assert (sizes(taken.pieces), taken.gone) == ([70], 81)
    assert not queue


def test_only_cancelled_requests() -> None:
    queue, small = LargeJobs(), SmallJobs()
    for own in (queue, small):
        left = job(5, 6)
        own.add(left)
        left.result.cancel()
        taken = own.take(100)
        assert (taken.pieces, taken.tokens, taken.gone) == ([], 0, 11)
        assert not own
        assert own.take(100).gone == 0


@given(
    requests=st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=12), min_size=1, max_size=12),
    room=st.integers(1, 150),
    cancelled=st.sets(st.integers(0, 11)),
)
def test_every_text_goes_once_and_batches_fit(requests: list[list[int]], room: int, cancelled: set[int]) -> None:
    queue = LargeJobs()
    added = [job(*tokens, name=f"{number}.") for number, tokens in enumerate(requests)]
    for own in added:
        queue.add(own)
    seen: list[str] = []
    gone = 0
    for step in range(1000):
        if not queue:
            break
        if step == 1:
            for number in cancelled & set(range(len(added))):
                added[number].result.cancel()
        taken = queue.take(room)
        assert len(taken.pieces) <= 1 or sum(sizes(taken.pieces)) <= room
        assert taken.tokens == sum(sizes(taken.pieces))
        seen += names(taken.pieces)
        gone += taken.gone
    assert len(seen) == len(set(seen))
    assert gone == sum(map(sum, requests)), "every token left the queue"
    kept = {text for number, own in enumerate(added) if number not in cancelled for text in own.texts}
    assert kept <= set(seen)


def test_the_smallest_passes_and_a_late_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    queue = SmallJobs()
    queue.add(job(400, name="a"))
    queue.add(job(10, name="b"))
    now += 0.3
    queue.add(job(20, name="c"))
    now += 0.3
    queue.add(job(10, name="d"))
    assert names(queue.take(1000).pieces) == ["b0", "c0", "a0", "d0"]


def test_a_small_batch_holds_whole_requests_up_to_its_room() -> None:
    queue = SmallJobs()
    for own in (job(3, 3), job(7), job(8)):
        queue.add(own)
    assert sizes(queue.take(13).pieces) == [3, 3, 7]
    assert sizes(queue.take(1).pieces) == [8]
    assert not queue


def test_rows_come_back_in_their_places() -> None:
    own = job(1, 1, 1)
    for place in (2, 0, 1):
        assert not own.result.done()
        own.finish(place, np.full((1, 2), place, dtype=np.float32))
    assert own.result.result()[:, 0].tolist() == [0, 1, 2]


def test_failing_or_finishing_twice_is_no_error() -> None:
    own = job(1)
    own.fail(ValueError("first"))
    own.fail(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        own.result.result()
