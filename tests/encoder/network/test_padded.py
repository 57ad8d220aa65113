"""The padded forward against the packed one, in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.network.padded import PaddedNetwork, task_id
from jina_v3_encoder.task import TASK_NAMES, Task, as_task
from jina_v3_encoder.vectors import FloatArray, finish
from tests.support.exports import padded_ids, texts_of_lengths, v3_network

TASKS = [*TASK_NAMES, None]
LENGTHS = (1, 2, 17, 128, 512)


def wanted(encoder: Encoder, texts: list[np.ndarray], task: Task | None) -> FloatArray:
    return finish(encoder.engine.id_means(texts, [task] * len(texts)), normalize=True)


@pytest.mark.parametrize("name", TASKS, ids=str)
def test_a_merged_adapter_gives_the_vectors_of_the_packed_network(encoder: Encoder, name: str | None) -> None:
    task = as_task(name)
    bank = None if task is None else encoder.config.bank(task)
    network = PaddedNetwork(v3_network(encoder), bank)
    texts = texts_of_lengths(LENGTHS, encoder.config.vocab_size)
    ids, mask = padded_ids(texts)
    states, vectors = network(torch.from_numpy(ids), torch.from_numpy(mask))
    assert states.shape == (len(texts), max(LENGTHS), encoder.dimensions)
    assert np.abs(vectors.numpy() - wanted(encoder, texts, task)).max() <= 2e-6


def test_all_tasks_in_one_batch(encoder: Encoder) -> None:
    network = PaddedNetwork(v3_network(encoder), None, all_tasks=True)
    tasks = [as_task(name) for name in TASKS]
    texts = texts_of_lengths([9] * len(tasks), encoder.config.vocab_size)
    ids, mask = padded_ids(texts)
    numbers = torch.tensor([task_id(encoder.config, task) for task in tasks])
    _, vectors = network(torch.from_numpy(ids), torch.from_numpy(mask), numbers)
    expected = finish(encoder.engine.id_means(texts, tasks), normalize=True)
    assert np.abs(vectors.numpy() - expected).max() <= 2e-6
    assert numbers.tolist() == [*range(len(TASK_NAMES)), len(TASK_NAMES)]


def test_padding_changes_no_vector_and_no_state(encoder: Encoder) -> None:
    network = PaddedNetwork(v3_network(encoder), None)
    (text,) = texts_of_lengths([5], encoder.config.vocab_size)
    ids, mask = padded_ids([text, np.ones(60, dtype=np.int64)])
    states, vectors = network(torch.from_numpy(ids[:1]), torch.from_numpy(mask[:1]))
    alone_states, alone = network(torch.from_numpy(text[None]), torch.ones(1, 5, dtype=torch.int64))
    assert (states[:, :5] - alone_states).abs().max() <= 1e-5
    assert (vectors - alone).abs().max() <= 1e-6
