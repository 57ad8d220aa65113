"""What `make test-fast` leaves out: real training runs, other libraries, kills, browsers, servers under load.

By path, in one list, so that a file can be moved in or out without being touched. What stays checks every rule of the
project on small models and embedded stores.
"""

from __future__ import annotations

import pytest

SLOW = (
    "tests/bench/",
    "tests/benchmarks/",
    "tests/cli/test_interrupt.py",
    "tests/connectors/ingestion/test_kills.py",
    "tests/connectors/ingestion/test_stops.py",
    "tests/connectors/milvus/",
    "tests/connectors/test_failures.py",
    "tests/demo/test_browser.py",
    "tests/docker/",
    "tests/examples/",
    "tests/nano/",
    "tests/parity/",
    "tests/server/test_attacks.py",
    "tests/server/test_clients.py",
    "tests/server/test_costs.py",
    "tests/server/test_interface.py",
    "tests/server/test_load.py",
    "tests/training/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for test in items:
        if test.nodeid.startswith(SLOW):
            test.add_marker("slow")
