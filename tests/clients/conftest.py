"""Shows the table of clients when the tests are done."""

from __future__ import annotations

import pytest

from .runs import HEAD

TABLE = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = []


@pytest.fixture
def shown_table(pytestconfig: pytest.Config) -> list[str]:
    """Lines that are printed at the end."""
    return pytestconfig.stash[TABLE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(TABLE, [])
    for line in [*HEAD, *lines] if lines else []:
        terminalreporter.write_line(line)
