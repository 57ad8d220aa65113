"""pymilvus' own tracebacks are kept out of the log while an error is told by its exception."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from jina_v3_connectors.milvus.quiet import LOGGERS, quiet


@pytest.fixture(params=LOGGERS)
def logger(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[logging.Logger]:
    """One of the loggers that are kept quiet, heard even if it does not pass on what it is told."""
    vendor_logger = logging.getLogger(request.param)
    vendor_logger.addHandler(caplog.handler)
    yield vendor_logger
    vendor_logger.removeHandler(caplog.handler)


def test_nothing_is_logged_inside(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        logger.error("a traceback")
        with quiet():
            logger.error("a traceback")
        logger.error("still inside")
    assert caplog.messages == []
    logger.error("told")
    assert "told" in caplog.messages


def test_an_exception_ends_the_quiet(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), quiet():
        raise ZeroDivisionError
    logger.error("told")
    assert "told" in caplog.messages


def test_other_threads_are_heard(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        thread = threading.Thread(target=logger.error, args=("from elsewhere",))
        thread.start()
        thread.join()
    assert "from elsewhere" in caplog.messages


def test_other_loggers_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        logging.getLogger("pymilvus.something_else").error("told")
    assert "told" in caplog.messages


def test_loggers_are_left_alone_until_something_is_to_be_kept_quiet() -> None:
    code = (
        "import logging, jina_v3_connectors.milvus.store\n"
        "from jina_v3_connectors.milvus.quiet import LOGGERS, quiet\n"
        "filters = lambda: [len(logging.getLogger(name).filters) for name in LOGGERS]\n"
        "before = filters()\n"
        "for _ in range(2):\n"
        "    with quiet(): pass\n"
        "print(before, filters())"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[0, 0, 0, 0] [1, 1, 1, 1]"
