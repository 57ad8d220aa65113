"""Every example runs as a user would run it, and says something sensible."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@cache
def output(script: Path) -> list[str]:
    """What it prints; it runs once in each process of the tests."""
    command = [sys.executable, "-W", "error", str(script)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_examples_are_short_and_run(script: Path) -> None:
    assert len(script.read_text().splitlines()) < 60
    assert output(script)


def test_the_french_bees_answer_the_english_question() -> None:
    assert "abeilles" in output(EXAMPLES / "encode.py")[0]


def test_the_lamp_is_found() -> None:
    lines = output(EXAMPLES / "store_and_search.py")
    assert "of 2 documents" in lines[0]
    assert " lamp: " in lines[1]
