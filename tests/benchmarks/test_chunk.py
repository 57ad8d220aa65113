"""How fast chunkers cut: every side is there, and texts of one's own are read."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from benchmarks.chunk import NAMES, command


def test_every_chunker_is_measured(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Sea\n\nIt is deep. It is wide.\n" * 20, encoding="utf-8")
    done = CliRunner().invoke(command, ["--texts", str(tmp_path), "--rounds", "1", "--json"])
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert [row["chunker"] for row in values["rows"]] == list(NAMES)
    assert all(row["first"] > 0 and row["again"] > 0 for row in values["rows"])
    assert values["semantic"] > 0


def test_a_folder_without_texts(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--texts", str(tmp_path)])
    assert done.exit_code == 2
    assert "holds no .txt and no .md file" in done.stderr
