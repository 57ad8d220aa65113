"""The server against its own description: schemathesis sends what it allows and what it forbids."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jina_v3_connectors.server import Models
from jina_v3_encoder.encoder import Encoder

from ..support.running import running

EXAMPLES = 30
COMMAND = [str(Path(sys.executable).with_name("schemathesis")), "run"]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_server_does_what_it_says(url: str, seed: int, tmp_path: Path) -> None:
    check(url, seed, tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_server_of_several_models_says_what_each_allows(
    exact: Encoder, v2: Encoder, seed: int, tmp_path: Path
) -> None:
    """The one that is meant where none is named has tasks, or has not."""
    with running(Models.of([exact, v2] if seed == 1 else [v2, exact])) as url:
        check(url, seed, tmp_path)


def check(url: str, seed: int, folder: Path) -> None:
    hooks = {"SCHEMATHESIS_HOOKS": "tests.server.interface_hooks", "PYTHONPATH": str(Path(__file__).parents[2])}
    options = ["--max-examples", str(EXAMPLES), "--seed", str(seed), "--no-color", "--warnings", "off"]
    checked = subprocess.run(
        [*COMMAND, f"{url}/openapi.json", *options],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | hooks,
        timeout=300,
    )
    assert checked.returncode == 0, checked.stdout[-5000:] + checked.stderr[-2000:]
    operations = re.search(r"Operations:\s+(\d+) selected / (\d+) total", checked.stdout)
    assert operations is not None
    assert int(operations[1]) == int(operations[2]) > 10, "all of them were tried"
