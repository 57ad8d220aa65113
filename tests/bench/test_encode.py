"""The measurements measure what they say; their figures are not tested, machines are too noisy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from jina_v3_connectors.bench.encode import bench_encode, bench_query
from jina_v3_connectors.bench.setting import Roof, Setting, company, operations_per_token, random_model
from jina_v3_connectors.cli import main
from jina_v3_encoder import Encoder
from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.network.quantize import has_int8_product
from jina_v3_encoder.task import Task

SMALL = ["--layers", "1", "--vocabulary", "2000", "--runs", "1", "--threads", "1"]
SETTING = Setting(layers=1, vocabulary=2000, threads=1, runs=2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", [None, Task.SEPARATION])
def test_all_sides_compute_the_same_vectors(task: Task | None) -> None:
    peers = ["sentence-transformers", "transformers"]
    formats = ["float32", *(["int8"] if has_int8_product() else [])]
    report = bench_encode(SETTING, corpus="mixed", texts=3, formats=formats, against=peers, task=task)
    names = ["jina-v3 float32", *(f"{peer} float32" for peer in peers), *(f"jina-v3 {name}" for name in formats[1:])]
    assert [row.name for row in report.rows] == names
    for row in report.rows[:3]:
        assert row.worst_cosine is not None
        assert row.worst_cosine > 0.99999
    ours, theirs = report.row("jina-v3 float32"), report.row("transformers float32")
    assert len(ours.seconds) == len(theirs.seconds) == len(theirs.ratios) == 2
    assert theirs.against == ours.name
    assert theirs.ratios == [mine / other for mine, other in zip(theirs.seconds, ours.seconds, strict=True)]
    assert ours.against is None
    tokens = report.conditions["tokens"]
    assert ours.per_second == tokens / ours.median
    assert ours.roof is not None
    assert theirs.roof is None


@pytest.mark.servers
def test_exported_graphs_compute_the_same_vectors() -> None:
    """In a process of its own: OpenVINO leaves AMX tiles in its thread. Signals do not fit with them on the stack.

    A test that raises a signal later in the same process would crash it.
    """
    against = ["--against", "onnxruntime", "--against", "openvino"]
    options = [*SMALL, *against, "--task", "separation", "--corpus", "short", "--texts", "3", "--json"]
    command = [sys.executable, "-W", "ignore", "-m", "jina_v3_connectors", "bench", "encode", *options]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = {row["name"]: row for row in json.loads(answer.stdout)["rows"]}
    least = {"float32": 0.99999, "bfloat16": 0.999, "int8": 0.99}
    others = [name for name in rows if not name.startswith("jina-v3")]
    bytes_too = has_int8_product()
    wanted = ["onnxruntime float32", "onnxruntime int8", "openvino bfloat16", "openvino float32", "openvino int8"]
    assert sorted(others) == [name for name in wanted if bytes_too or not name.endswith("int8")]
    for name in others:
        number_format = name.split()[-1]
        assert rows[name]["against"] == f"jina-v3 {number_format}"
        assert rows[name]["worst_cosine"] >= least[number_format]
    if bytes_too:
        assert rows["jina-v3 int8"]["against"] == "jina-v3 bfloat16"


def test_a_busy_machine_has_a_neighbour_that_ends_with_the_measurement() -> None:
    def neighbours() -> int:
        listed = subprocess.run(["pgrep", "-c", "-P", str(os.getpid()), "python"], capture_output=True, text=True)
        return int(listed.stdout)

    before = neighbours()
    setting = replace(SETTING, busy=True)
    with company(setting):
        assert neighbours() == before + 1
    assert neighbours() == before
    assert "beside another busy process" in setting.summary()
    assert setting.conditions()["busy"] is True


def test_the_roof_counts_what_the_blocks_count() -> None:
    roof = Roof("float32", 5, "cpu", threads=2)
    assert roof.operations == 2 * 5 * operations_per_token(1) == 2 * 5 * 2 * 12 * 1024**2
    assert roof.seconds() > 0


def test_a_query_has_twelve_tokens() -> None:
    report = bench_query(SETTING, formats=["bfloat16"], against=[], task=None)
    assert report.conditions["tokens"] == 12
    assert len(report.rows[0].seconds) == 2


def test_threads_are_given_back(tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    with random_model(Setting(layers=1, vocabulary=2000, threads=before + 1)) as folder:
        assert torch.get_num_threads() == before + 1
        assert Encoder.from_pretrained(folder, device="cpu").dimensions == 1024
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode", "--texts", "3", "--dtype", "bfloat16", "--corpus", "short"],
        ["query", "--dtype", "bfloat16"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_commands_print_tables_json_and_plots(arguments: list[str], tmp_path: Path) -> None:
    picture = tmp_path / "plot.png"
    shown = CliRunner().invoke(main, ["bench", *arguments, *SMALL, "--plot", str(picture)])
    assert shown.exit_code == 0, shown.output
    assert "medians of 1 rounds" in " ".join(shown.stdout.split())
    assert picture.read_bytes().startswith(b"\x89PNG")
    done = CliRunner().invoke(main, ["bench", *arguments, *SMALL, "--json"])
    values: dict[str, Any] = json.loads(done.stdout)
    assert (values["layers"], values["threads"], values["vocabulary"]) == (1, 1, 2000)
    assert all(row["seconds"][0] > 0 for row in values["rows"])


def test_a_peer_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    arguments = ["bench", "encode", *SMALL, "--texts", "1", "--dtype", "float32"]
    result = CliRunner().invoke(main, [*arguments, "--against", "sentence-transformers"])
    assert result.exit_code == 1
    assert "pip install 'jina-v3-connectors[bench]'" in result.stderr
    assert issubclass(MissingExtra, ImportError)
