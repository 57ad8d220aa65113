"""The serve bench asks a real server in another process, and notices what is wrong; its figures are not tested."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import load as module
from benchmarks.load import ServeBench, bench_serve, server
from benchmarks.serve import command
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import JinaV3Error
from jina_v3_encoder.testing import FakeEncoder
from tests.support.running import running


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXTS", 30)
    monkeypatch.setattr(module, "SIZES", (1, 24))
    monkeypatch.setattr(module, "LONE", 2)
    monkeypatch.setattr(module, "WARM_SECONDS", 0.2)


def test_a_server_is_measured_and_its_answers_are_right(original_folder: Path) -> None:
    encoder = Encoder.from_pretrained(original_folder, device="cpu", dtype="float32")
    arguments = ["--model", str(original_folder), "--device", "cpu", "--dtype", "float32"]
    told: list[str] = []
    result = bench_serve(encoder, arguments, clients=3, seconds=1.0, announce=told.append)
    assert (result.failed, result.wrong) == ([], 0)
    assert result.requests > 3
    assert min(result.offline, result.served, result.lone, result.batch) > 0
    assert result.small
    assert result.bound == 3 * result.lone + result.batch
    assert told[0] == "encoding offline"


class Opposite(FakeEncoder):
    """Every vector turned round."""

    def encode(self, texts: Any, **settings: Any) -> Any:
        return -super().encode(texts, **settings)


def test_another_models_answers_are_noticed() -> None:
    """The server answers with other vectors than the encoder's."""
    load = module.Load(FakeEncoder(dimensions=32))
    result = ServeBench(2, 0.5)
    with running(Opposite(dimensions=32)) as url:
        asyncio.run(_one(load, url, result))
    assert (result.wrong, result.requests, result.failed) == (2, 2, [])


def test_refusals_are_counted_and_told() -> None:
    load = module.Load(FakeEncoder(dimensions=32))
    load.tasks = ["retrieval"] * len(load.tasks)
    result = ServeBench(2, 0.5)
    with running(FakeEncoder(dimensions=32)) as url:
        asyncio.run(_one(load, url, result))
    assert len(result.failed) == 1
    assert "task" in result.failed[0]


async def _one(load: Any, url: str, result: ServeBench) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        await module._ask(client, load, result, None)
        await module._ask(client, load, result, [3, 9])


def test_every_request_has_texts_of_one_task() -> None:
    load = module.Load(FakeEncoder(dimensions=32))
    chance = random.Random(0)
    drawn = [load.draw(chance) for _ in range(200)]
    assert {len({load.tasks[number] for number in numbers}) for numbers in drawn} == {1}
    assert {load.tasks[numbers[0]] for numbers in drawn} == set(load.tasks)
    assert {len(numbers) for numbers in drawn} == {1, 24}


def test_the_batches_are_read_from_the_metrics() -> None:
    with running(FakeEncoder(max_batch_tokens=8)) as url:

        async def read() -> tuple[float, float]:
            async with httpx.AsyncClient(base_url=url) as client:
                return await module._batches(client)

        assert asyncio.run(read()) == (0.0, 0.0)
        httpx.post(f"{url}/v1/embeddings", json={"model": "jina-embeddings-v3", "input": ["some words here"] * 5})
        spent, batches = asyncio.run(read())
    assert batches == 5
    assert spent > 0


def test_ratios_and_percentiles() -> None:
    result = ServeBench(4, 1.0, offline=200.0, served=150.0, lone=0.01, small=[0.1, 0.2, 0.3], batch=0.05)
    assert result.ratio == 0.75
    assert result.percentile(50) == pytest.approx(0.2)
    assert result.bound == pytest.approx(0.08)
    told = json.loads(json.dumps(result.to_dict()))
    assert told["p95"] == pytest.approx(np.percentile([0.1, 0.2, 0.3], 95))


def test_a_server_that_does_not_start_is_told() -> None:
    with pytest.raises(JinaV3Error, match="no-such-folder"), server(["--model", "./no-such-folder"]):
        raise AssertionError("it started")


def test_the_command_line(original_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured once, shown in both forms."""
    measured: list[ServeBench] = []

    def once(*arguments: Any, **settings: Any) -> ServeBench:
        if not measured:
            measured.append(bench_serve(*arguments, **settings))
        return measured[0]

    monkeypatch.setattr(module, "bench_serve", once)
    arguments = ["--model", str(original_folder), "--clients", "2", "--seconds", "1"]
    done = CliRunner().invoke(command, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["wrong"] == 0
    shown = CliRunner().invoke(command, arguments)
    assert "× offline" in shown.stdout
    assert "three alone and a batch" in shown.stdout
