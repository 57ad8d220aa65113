"""One copy of the weights in a process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jina_v3_connectors.shared_encoders import forget_encoders, shared_encoder
from jina_v3_encoder import CheckpointNotFound, Encoder, RemoteEncoder
from jina_v3_encoder.errors import InvalidInput, RemoteError
from jina_v3_encoder.network.quantize import check_int8
from tests.support.running import running


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    forget_encoders()
    yield
    forget_encoders()


@pytest.fixture
def exact() -> Encoder:
    return Encoder.from_pretrained("nano", device="cpu", dtype="float32")


@pytest.fixture
def url(exact: Encoder) -> Iterator[str]:
    with running(exact) as url:
        yield url


def test_the_same_model_is_loaded_once(original_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Any] = []
    load = Encoder.from_pretrained

    def counted(*arguments: Any, **settings: Any) -> Encoder:
        loads.append(arguments)
        return load(*arguments, **settings)

    monkeypatch.setattr(Encoder, "from_pretrained", counted)
    with ThreadPoolExecutor(4) as pool:
        encoders = list(pool.map(lambda _: shared_encoder(str(original_folder)), range(8)))
    assert all(encoder is encoders[0] for encoder in encoders)
    assert len(loads) == 1
    assert shared_encoder(str(original_folder), dtype="float32") is not encoders[0]
    assert len(loads) == 2


def test_another_batch_size_shares_the_weights(original_folder: Path) -> None:
    plain = shared_encoder(str(original_folder))
    small = shared_encoder(str(original_folder), max_batch_tokens=16)
    assert isinstance(plain, Encoder)
    assert isinstance(small, Encoder)
    assert small.max_batch_tokens == 16
    assert small.engine.model is plain.engine.model
    assert (small.encode(["a b", "c d e"]) == plain.encode(["a b", "c d e"])).all()
    with pytest.raises(InvalidInput, match="max_batch_tokens"):
        shared_encoder(str(original_folder), max_batch_tokens=0)


def test_what_cannot_be_loaded_is_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(CheckpointNotFound, match=r"is no folder; pass a folder with config.json"):
            shared_encoder(str(tmp_path / "absent"))


def test_an_address_is_a_server(url: str, exact: Encoder) -> None:
    encoder = shared_encoder(url)
    assert isinstance(encoder, RemoteEncoder)
    assert shared_encoder(url, max_batch_tokens=16) is encoder
    assert encoder.fingerprint == exact.fingerprint
    assert np.allclose(
        encoder.encode("who?", task="retrieval.query"), exact.encode("who?", task="retrieval.query"), atol=1e-5
    )
    encoder.close()


@pytest.mark.parametrize(
    "setting", [{"revision": "main"}, {"device": "cpu"}, {"dtype": "float32"}, {"quantize": "int8"}], ids=str
)
def test_a_server_has_settings_of_its_own(setting: dict[str, Any]) -> None:
    (name,) = setting
    with pytest.raises(InvalidInput, match=f"leave out {name}="):
        shared_encoder("http://127.0.0.1:9", **setting)


def test_a_server_that_is_away_is_told_with_its_address() -> None:
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:9"):
        shared_encoder("http://127.0.0.1:9")


def test_quantized_weights_are_others(original_folder: Path) -> None:
    try:
        check_int8(torch.device("cpu"), torch.bfloat16)
    except InvalidInput as error:
        pytest.skip(str(error))
    plain, small = (shared_encoder(str(original_folder), quantize=quantize) for quantize in (None, "int8"))
    assert plain is not small
    assert plain.fingerprint != small.fingerprint
    assert shared_encoder(str(original_folder), quantize="int8") is small
