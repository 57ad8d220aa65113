"""The ingest bench measures what it says; its figures are not tested, machines are too noisy."""

from __future__ import annotations

import json
import statistics
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import ingest as module
from benchmarks.ingest import IngestBench, bench_ingest, command, measure_memory
from jina_v3_encoder.testing import FakeEncoder


def test_rounds_and_ratios() -> None:
    told: list[str] = []
    result = bench_ingest(FakeEncoder(), documents=40, runs=2, memory_chunks=0, announce=told.append)
    assert told == ["warming up", "round 1 of 2", "round 2 of 2"]
    assert len(result.alone) == len(result.fast) == len(result.slow) == len(result.overlaps) == 2
    assert all(slow > alone for slow, alone in zip(result.slow, result.alone, strict=True)), "it really waits"
    assert result.overheads == [fast / alone - 1 for fast, alone in zip(result.fast, result.alone, strict=True)]
    assert result.overhead == statistics.median(result.overheads)
    assert len(result.chunkings) == 2
    assert result.chunking == statistics.median(result.chunkings) > 0
    assert len(result.cuttings) == 2
    assert result.cutting == statistics.median(result.cuttings) > 0
    assert result.overlap == statistics.median(result.overlaps) > 0
    assert result.to_dict()["documents"] == 40


def test_memory_is_measured_in_bytes() -> None:
    assert 0 <= measure_memory(500) < 2**30


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured once, shown in both forms."""
    measured: list[IngestBench] = []

    def once(*arguments: Any, **settings: Any) -> IngestBench:
        if not measured:
            measured.append(bench_ingest(*arguments, **settings))
        return measured[0]

    monkeypatch.setattr(module, "bench_ingest", once)
    arguments = ["--documents", "6", "--runs", "1", "--memory-chunks", "200"]
    done = CliRunner().invoke(command, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["memory_chunks"] == 200
    shown = CliRunner().invoke(command, arguments)
    assert "× encoding alone" in shown.stdout
    assert "× the slower of encoding and cutting" in shown.stdout
    assert "splitter on the way:" in shown.stdout
    assert "peak memory grew by" in shown.stdout
