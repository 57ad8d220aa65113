"""The attacks, for a moment: each is refused, and clients beside them get their answers; times are not tested."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import load as module
from benchmarks.attack import ATTACKS
from benchmarks.serve import command

REFUSED = {
    "windows that hardly advance": {"422"},
    "a million empty objects": {"422"},
    "8 MB to segment": {"400"},
    "8 MB to count": {"400"},
    "headers without end": {"closed"},
    "a body without end": {"closed"},
    "a page of another site": {"403"},
}


def test_clients_beside_attackers_are_answered(original_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXTS", 30)
    monkeypatch.setattr(module, "WARM_SECONDS", 0.2)
    arguments = ["--attack", "--model", str(original_folder), "--clients", "3", "--seconds", "3"]
    done = CliRunner().invoke(command, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    for side in ("alone", "attacked"):
        assert (told[side]["failed"], told[side]["wrong"]) == ([], 0)
        assert told[side]["requests"] > 0
    assert told["attacks"].keys() == ATTACKS.keys()
    assert all(told["attacks"].values()), "each was carried out"
    for name, outcomes in REFUSED.items():
        assert told["attacks"][name].keys() == outcomes, name
