"""Documents, names and servers' answers cannot steer the terminal that they are shown on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.terminal import STEERING, json_line, printable

BACKWARDS = "\u202eback"
"""An id has no control characters, see docs/values.md; this is none, and steers what follows all the same."""
ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b31mred\rover\x08\u202eback"


def run(*arguments: str, given: str | None = None) -> str:
    result = CliRunner(env={"COLUMNS": "250"}).invoke(main, list(arguments), input=given, color=True)
    assert "Traceback" not in result.output
    return re.sub("\x1b\\[(31|33|0)m", "", result.output)  # our own colours of errors and warnings


@pytest.fixture
def store(tmp_path: Path, original_folder: Path) -> str:
    rows = [{"id": f"a{BACKWARDS}", "text": f"A text {ATTACK} ends."}]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    told = run("ingest", str(file), "--to", f"qdrant:{tmp_path / 'store'}", "--model", str(original_folder))
    assert "stored 1 chunks" in told
    return f"qdrant:{tmp_path / 'store'}"


def test_hits_for_people_are_written_out(store: str) -> None:
    told = run("search", "text", "--from", store)
    assert not STEERING.search(told)
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b31mred" in re.sub(r"[│\s]+", "", told)


def test_hits_for_programs_are_exact(store: str) -> None:
    told = run("search", "text", "--from", store, "--json")
    assert not STEERING.search(told)
    hit = json.loads(told)
    assert (hit["document_id"], hit["text"]) == (f"a{BACKWARDS}", f"A text {ATTACK} ends.")


def test_vectors_of_lines_are_exact(original_folder: Path) -> None:
    line = ATTACK.replace("\r", "")
    told = run("embed", "--model", str(original_folder), given=f"{line}\n")
    assert not STEERING.search(told)
    assert json.loads(told)["text"] == line


def test_what_is_skipped_and_what_stops(tmp_path: Path, original_folder: Path) -> None:
    file = tmp_path / f"rows{ATTACK}.jsonl"
    file.write_text(json.dumps({"id": "\x1b[2J", "text": "a\ud800"}))
    command = ["ingest", str(file), "--to", f"qdrant:{tmp_path / 'store'}", "--model", str(original_folder)]
    stopped, skipped = run(*command), run(*command, "--skip-bad")
    for told in (stopped, skipped):
        assert "control character" in told
        assert not STEERING.search(told)
    assert not STEERING.search(run("ingest", f"{file}x", "--to", f"qdrant:{tmp_path}"))


def test_prompts_of_a_model(tmp_path: Path, original_folder: Path) -> None:
    folder = shutil.copytree(original_folder, tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    values["task_instructions"]["retrieval.query"] = f"[bold]{ATTACK}[/red]"
    (folder / "config.json").write_text(json.dumps(values))
    told = run("info", "--model", str(folder))
    assert "[bold]" in told
    assert not STEERING.search(told + run("info", "--json", "--model", str(folder)))


@given(st.text())
def test_text_without_control_characters_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    assert not STEERING.search(shown)
    assert printable(shown) == shown
    assert shown == text or STEERING.search(text)
    assert json.loads(json_line([text])) == [text]


def test_the_progress_bar_shows_each_time_once(tmp_path: Path, original_folder: Path) -> None:
    (tmp_path / "a.txt").write_text("A text.")
    told = run(
        "ingest", str(tmp_path / "a.txt"), "--to", f"qdrant:{tmp_path / 'store'}", "--model", str(original_folder)
    )
    (bar,) = (line for line in told.splitlines() if line.startswith("ingesting"))
    assert len(re.findall(r"\d:\d\d:\d\d", bar)) == 2, "elapsed and remaining"
