"""Large and many files: every case is read, and what is said of memory and the bar can be so."""

from __future__ import annotations

import json

from click.testing import CliRunner

from benchmarks.files import CASES, command


def test_every_case_is_measured() -> None:
    arguments = ["--pages", "12", "--megabytes", "0.1", "--files", "30", "--fake"]
    done = CliRunner().invoke(command, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert list(rows) == list(CASES)
    assert {name: row["documents"] for name, row in rows.items()} == {"pdf": 1, "html": 1, "folder": 30}
    for row in rows.values():
        assert row["chunks"] > 10
        assert 0 < row["seconds_at_half"] <= row["seconds"]
        assert 0 < row["largest_step"] <= 1
        assert row["megabytes_before"] <= row["megabytes_at_half"] <= row["megabytes"]


def test_the_table() -> None:
    done = CliRunner().invoke(command, ["--case", "folder", "--files", "3", "--fake"], terminal_width=200)
    assert done.exit_code == 0, done.output
    assert "folder" in done.stdout
    assert "pdf" not in done.stdout
