from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_encoder.network.attention import round_up
from jina_v3_encoder.network.batching import Reading, fill, pack, plan_batches, used_rows, window_readings
from jina_v3_encoder.texts.late_chunking import Window

CPU = torch.device("cpu")
LENGTHS = st.lists(st.integers(1, 300), max_size=60)


def reading(length: int, bank: int | None = None, rows: list[int] | None = None) -> Reading:
    chosen = None if rows is None else np.array(rows)
    owners = np.zeros(length if rows is None else len(rows), dtype=np.int64)
    return Reading(np.arange(length), bank, owners, chosen)


@given(LENGTHS, st.integers(1, 400), st.randoms())
def test_every_text_once_within_the_budget(lengths: list[int], budget: int, random: object) -> None:
    banks = [None if n % 3 == 0 else n % 5 for n in range(len(lengths))]
    batches = plan_batches(lengths, banks, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or sum(lengths[index] for index in batch) <= budget


@given(LENGTHS)
def test_neighbours_share_adapters_and_lengths(lengths: list[int]) -> None:
    banks = [None if n % 3 == 0 else n % 5 for n in range(len(lengths))]
    for batch in plan_batches(lengths, banks, 1000):
        keys = [(-1 if (bank := banks[index]) is None else bank, lengths[index]) for index in batch]
        assert keys == sorted(keys)


def test_pack_restarts_positions_and_groups_equal_lengths() -> None:
    packed = pack([reading(2), reading(2), reading(3, 1), reading(1, 1), reading(1, 4)], CPU)
    assert packed.ids.tolist() == [0, 1, 0, 1, 0, 1, 2, 0, 0]
    assert packed.positions.tolist() == [0, 1, 0, 1, 0, 1, 2, 0, 0]
    assert packed.groups == ((0, 2, 2), (4, 1, 3), (7, 2, 1))
    assert packed.runs == ((1, slice(4, 8)), (4, slice(8, 9)))


def test_base_model_texts_have_no_run() -> None:
    assert pack([reading(4), reading(5)], CPU).runs == ()


def test_used_rows_are_shifted_to_the_packed_batch() -> None:
    assert used_rows([reading(3), reading(2)]) is None
    rows = used_rows([reading(3), reading(4, rows=[0, 3]), reading(2)])
    assert rows is not None
    assert rows.tolist() == [0, 1, 2, 3, 6, 7, 8]


def test_a_span_across_two_windows_is_read_in_both() -> None:
    ids = np.arange(100, 110)
    rows = [np.array([0, 1]), np.array([4, 5, 6, 7])]
    first, second = window_readings(ids, rows, [Window(0, 6, 0), Window(4, 10, 6)], 2, first=7)
    assert first.ids.tolist() == [100, 101, 102, 103, 104, 105]
    assert first.rows is not None
    assert first.rows.tolist() == [0, 1, 4, 5]
    assert first.owners.tolist() == [7, 7, 8, 8]
    assert second.rows is not None
    assert second.rows.tolist() == [2, 3]
    assert second.owners.tolist() == [8, 8]


def test_windows_that_nobody_uses_are_not_read() -> None:
    readings = window_readings(np.arange(10), [np.array([8])], [Window(0, 6, 0), Window(4, 10, 6)], None, first=0)
    assert [read_window.ids.tolist() for read_window in readings] == [[4, 5, 6, 7, 8, 9]]


@pytest.mark.parametrize("per_octave", [1, 16, 32])
def test_few_lengths_are_left_and_none_grows_by_much(per_octave: int) -> None:
    filled_lengths = [round_up(length, per_octave) for length in range(1, 5000)]
    assert all(length <= filled <= length * (1 + 1 / per_octave) for length, filled in enumerate(filled_lengths, 1))
    assert len({filled for filled in filled_lengths if filled > 1024}) <= 3 * per_octave
    assert filled_lengths == sorted(filled_lengths)


def test_fillers_belong_to_no_vector() -> None:
    readings = [reading(50, None), reading(33, None), reading(70, 2)]
    filled = fill(readings)
    assert [part.bank for part in filled] == [None, None, None, 2, 2]
    assert [len(part.ids) for part in filled] == [50, 33, 1, 70, 2]
    assert [len(part.owners) for part in filled] == [50, 33, 0, 70, 0]
    assert sum(len(part.ids) for part in filled) == 156
    rows = used_rows(filled)
    assert rows is not None
    assert rows.tolist() == [*range(83), *range(84, 154)]
    batch = pack(filled, CPU)
    assert batch.runs == ((2, slice(84, 156)),)
    assert len(fill([reading(64, 1)])) == 1
