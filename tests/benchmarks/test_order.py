"""The simulated queue: the same figures every time, and what they are there to show."""

from __future__ import annotations

import json

from click.testing import CliRunner

from benchmarks.order import CROWDS, ORDERS, command, simulate

CREDIT, TURNS, DUE = ORDERS
CROWD, FLOOD = CROWDS


def test_credit_spares_small_requests_the_wait_behind_large_ones() -> None:
    credit, *others = (simulate(order, CROWD, 30).to_dict() for order in (CREDIT, TURNS, DUE))
    for other in others:
        assert float(credit["small_p95"]) < 0.25 < float(other["small_p95"]), "about one batch"
        assert float(credit["tokens_per_second"]) > 0.95 * float(other["tokens_per_second"])


def test_a_flood_of_small_requests_leaves_large_ones_going() -> None:
    flood = simulate(CREDIT, FLOOD, 20)
    assert flood.to_dict() == simulate(CREDIT, FLOOD, 20).to_dict()
    assert len(flood.large) > 20


def test_the_command_prints_a_table_and_json() -> None:
    table = CliRunner().invoke(command, ["--seconds", "3"], env={"COLUMNS": "120"}).output
    assert all(order in table for order in ORDERS)
    rows = json.loads(CliRunner().invoke(command, ["--seconds", "3", "--json"]).output)["rows"]
    assert len(rows) == len(CROWDS) * len(ORDERS)
    assert all(float(row["tokens_per_second"]) > 0 for row in rows)
