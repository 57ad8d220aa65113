"""The order in which waiting texts go."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_connectors.server.jobs import Job, Piece
from jina_v3_connectors.server.models import Model
from jina_v3_connectors.server.waiting import Waiting
from jina_v3_encoder.testing import FakeEncoder

MODEL = Model("one", FakeEncoder())


def job(*tokens: int, name: str = "t") -> Job:
    return Job(MODEL, [f"{name}{number}" for number in range(len(tokens))], tokens, None)


def sizes(pieces: Sequence[Piece]) -> list[int]:
    return sorted(job.tokens[index] for job, index in pieces)


def names(pieces: Sequence[Piece]) -> list[str]:
    return [job.texts[index] for job, index in pieces]


def line(room: int, *jobs: Job) -> Waiting:
    """These jobs, all of them large."""
    waiting = Waiting({MODEL: room}, small_share=0)
    for job in jobs:
        waiting.add(job)
    return waiting


def test_texts_of_like_length_go_together() -> None:
    waiting = line(110, job(10, 58, 50), job(52, 11, 60))
    assert [sizes(waiting.take().pieces) for _ in range(3)] == [[52, 58], [50, 60], [10, 11]]
    assert not waiting


def test_the_nearer_neighbour_goes_first() -> None:
    waiting = line(50 + 49 + 45, job(50), job(20, 45, 49, 60, 90))
    assert sizes(waiting.take().pieces) == [45, 49, 50]


def test_what_does_not_fit_below_may_fit_above_and_the_reverse() -> None:
    assert sizes(line(50 + 48 + 10, job(50), job(48, 70)).take().pieces) == [48, 50]
    assert sizes(line(50 + 53, job(50), job(48, 49, 53)).take().pieces) == [49, 50]
    assert sizes(line(1, job(70)).take().pieces) == [70], "alone, however large"


def test_requests_take_turns_to_lead() -> None:
    waiting = line(100, job(100, 100, 100, name="a"), job(10, 10, 10, name="b"))
    leaders = [names(waiting.take().pieces) for _ in range(4)]
    assert [led[0][0] for led in leaders] == ["a", "b", "a", "a"]
    assert len(leaders[1]) == 3
    assert not waiting


def test_texts_of_the_leaders_task_go_first() -> None:
    other = Job(MODEL, ["other"], [50], "separation")
    waiting = line(100, job(50, 40), other)
    assert sizes(waiting.take().pieces) == [40, 50]
    assert names(waiting.take().pieces) == ["other"]


def test_a_cancelled_request_gives_its_tokens_back() -> None:
    left, stays = job(5, 6, 7), job(8)
    waiting = line(100, left, stays)
    left.result.cancel()
    batch = waiting.take()
    assert (sizes(batch.pieces), batch.tokens, batch.gone.total()) == ([8], 8, 26)
    assert not waiting


def test_texts_of_a_cancelled_request_fill_no_batch() -> None:
    stays, left = job(10, name="s"), job(10, 11, name="l")
    waiting = line(100, stays, left)
    left.result.cancel()
    batch = waiting.take()
    assert (names(batch.pieces), batch.gone.total()) == (["s0"], 31)
    assert not waiting
    assert waiting.take().pieces == []


@pytest.mark.parametrize("small_share", [0.0, 1.0])
def test_what_is_left_of_a_failed_request_is_dropped(small_share: float) -> None:
    waiting = Waiting({MODEL: 80}, small_share)
    failed, stays = job(5, 6), job(70)
    waiting.add(failed)
    waiting.add(stays)
    failed.fail(ValueError("a text of it could not be read"))
    batch = waiting.take()
    assert (sizes(batch.pieces), batch.gone.total()) == ([70], 81)
    assert not waiting


@pytest.mark.parametrize("small_share", [0.0, 1.0])
def test_only_cancelled_requests(small_share: float) -> None:
    waiting = Waiting({MODEL: 100}, small_share)
    left = job(5, 6)
    waiting.add(left)
    left.result.cancel()
    batch = waiting.take()
    assert (batch.pieces, batch.tokens, batch.gone.total()) == ([], 0, 11)
    assert not waiting
    assert waiting.take().gone.total() == 0


@given(
    requests=st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=12), min_size=1, max_size=12),
    room=st.integers(1, 150),
    cancelled=st.sets(st.integers(0, 11)),
    small_share=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_every_text_goes_once_and_batches_fit(
    requests: list[list[int]], room: int, cancelled: set[int], small_share: float
) -> None:
    waiting = Waiting({MODEL: room}, small_share)
    added = [job(*tokens, name=f"{number}.") for number, tokens in enumerate(requests)]
    for request in added:
        waiting.add(request)
    seen: list[str] = []
    gone = 0
    for step in range(1000):
        if not waiting:
            break
        if step == 1:
            for number in cancelled & set(range(len(added))):
                added[number].result.cancel()
        batch = waiting.take()
        assert len(batch.pieces) <= 1 or sum(sizes(batch.pieces)) <= room
        assert batch.tokens == sum(sizes(batch.pieces))
        seen += names(batch.pieces)
        gone += batch.gone.total()
    assert len(seen) == len(set(seen))
    assert gone == sum(map(sum, requests)), "every token left the queue"
    kept = {text for number, request in enumerate(added) if number not in cancelled for text in request.texts}
    assert kept <= set(seen)


def test_a_small_request_goes_before_large_ones_and_alone() -> None:
    waiting = Waiting({MODEL: 100})
    for request in (job(60, 60, name="large"), job(10, name="a"), job(5, 5, name="b")):
        waiting.add(request)
    batches = [waiting.take() for _ in range(3)]
    assert [batch.kind for batch in batches] == ["small", "large", "large"]
    assert names(batches[0].pieces) == ["a0", "b0", "b1"]


def test_small_requests_that_keep_coming_leave_large_ones_every_other_batch() -> None:
    waiting = Waiting({MODEL: 100})
    waiting.add(job(*[100] * 5))
    kinds = []
    for _ in range(8):
        for _ in range(20):
            waiting.add(job(10))
        kinds.append(waiting.take().kind)
    assert kinds == ["small", "large"] * 4


def of(model: Model, *tokens: int, name: str) -> Job:
    return Job(model, [f"{name}{number}" for number in range(len(tokens))], tokens, None)


OTHER = Model("other", FakeEncoder())


def test_a_batch_holds_texts_of_one_model_up_to_its_own_budget() -> None:
    waiting = Waiting({MODEL: 100, OTHER: 40}, small_share=0)
    waiting.add(of(MODEL, 20, 20, 20, name="a"))
    waiting.add(of(OTHER, 20, 20, 20, name="b"))
    waiting.add(of(MODEL, 20, name="c"))
    batches = [waiting.take() for _ in range(3)]
    assert [sorted(names(batch.pieces)) for batch in batches] == [["a0", "a1", "a2", "c0"], ["b0", "b2"], ["b1"]]
    assert [dict(batch.gone) for batch in batches] == [{MODEL: 80}, {OTHER: 40}, {OTHER: 20}]


def test_requests_of_all_models_take_turns() -> None:
    waiting = Waiting({MODEL: 10, OTHER: 10}, small_share=0)
    for model, name in ((MODEL, "a"), (OTHER, "b"), (MODEL, "c")):
        waiting.add(of(model, 10, 10, name=name))
    assert [names(waiting.take().pieces)[0][0] for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_small_requests_of_one_model_go_before_large_ones_of_another() -> None:
    waiting = Waiting({MODEL: 100, OTHER: 50})
    waiting.add(of(OTHER, 50, 50, name="large"))
    waiting.add(of(MODEL, 10, name="small"))
    waiting.add(of(OTHER, 10, name="medium"))
    assert [waiting.take().kind for _ in range(3)] == ["small", "large", "large"], "a tenth of its own batch is small"


def test_a_cancelled_request_is_counted_for_its_model() -> None:
    waiting = Waiting({MODEL: 100, OTHER: 100})
    left = of(OTHER, 5, 6, name="l")
    waiting.add(left)
    waiting.add(of(MODEL, 7, name="s"))
    left.result.cancel()
    assert dict(waiting.take().gone) == {OTHER: 11, MODEL: 7}


@pytest.mark.parametrize(("cost", "kinds"), [(1.0, ["small"] * 5), (30.0, ["small", *["large"] * 3, "small"])])
def test_what_small_requests_use_is_counted_by_what_it_takes(cost: float, kinds: list[str]) -> None:
    """Tokens of a large model take longer than those of a small one, for which a large request waits."""
    waiting = Waiting({MODEL: 1000, OTHER: 100})
    waiting.costs[OTHER] = cost
    waiting.add(of(MODEL, *[1000] * 5, name="large"))
    taken = []
    for _ in range(5):
        for number in range(20):
            waiting.add(of(OTHER, 10, name=f"{number}."))
        taken.append(waiting.take().kind)
    assert taken == kinds
