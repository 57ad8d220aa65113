"""One copy of the weights in a process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors.shared import forget_encoders, shared_encoder
from jina_v3_encoder import CheckpointNotFound, Encoder
from jina_v3_encoder.errors import InvalidInput


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    forget_encoders()
    yield
    forget_encoders()


def test_the_same_model_is_loaded_once(original_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Any] = []
    load = Encoder.from_pretrained

    def counted(*arguments: Any, **settings: Any) -> Encoder:
        loads.append(arguments)
        return load(*arguments, **settings)

    monkeypatch.setattr(Encoder, "from_pretrained", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shared_encoder(str(original_folder)), range(8)))
    assert all(encoder is found[0] for encoder in found)
    assert len(loads) == 1
    assert shared_encoder(str(original_folder), dtype="float32") is not found[0]
    assert len(loads) == 2


def test_another_batch_size_shares_the_weights(original_folder: Path) -> None:
    plain = shared_encoder(str(original_folder))
    small = shared_encoder(str(original_folder), max_batch_tokens=16)
    assert small.max_batch_tokens == 16
    assert small._model is plain._model
    assert (small.encode(["a b", "c d e"]) == plain.encode(["a b", "c d e"])).all()
    with pytest.raises(InvalidInput, match="max_batch_tokens"):
        shared_encoder(str(original_folder), max_batch_tokens=0)


def test_what_cannot_be_loaded_is_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(CheckpointNotFound):
            shared_encoder(str(tmp_path / "absent"))
