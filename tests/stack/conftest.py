"""Podman with its images, and the table at the end."""

from __future__ import annotations

import pytest

from .engine import PROGRAMS_MISSING, Engine, missing_program

TABLE = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = {}


@pytest.fixture(scope="session")
def engine() -> Engine:
    """With every image made; this takes minutes the first time."""
    if program := missing_program():
        pytest.skip(PROGRAMS_MISSING.format(program))
    from .images import make_all

    engine = Engine()
    make_all(engine)
    return engine


@pytest.fixture(scope="session")
def shown_table(pytestconfig: pytest.Config) -> dict[str, str]:
    """What is measured, by its name; printed at the end."""
    return pytestconfig.stash[TABLE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, value in config.stash.get(TABLE, {}).items():
        terminalreporter.write_line(f"{name:<44}{value:>10}")
