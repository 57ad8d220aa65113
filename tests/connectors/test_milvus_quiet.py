"""pymilvus' own tracebacks are kept out of the log while an error is told by its exception."""

from __future__ import annotations

import logging
import threading

import pytest

from jina_v3_connectors.milvus.quiet import LOGGERS, quiet


@pytest.mark.parametrize("name", LOGGERS)
def test_nothing_is_logged_inside(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(name)
    logger.addHandler(caplog.handler)
    try:
        with quiet():
            logger.error("a traceback")
            with quiet():
                logger.error("a traceback")
            logger.error("still inside")
        assert caplog.messages == []
        logger.error("told")
        assert "told" in caplog.messages
    finally:
        logger.removeHandler(caplog.handler)


def test_an_exception_ends_the_quiet(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(LOGGERS[0])
    logger.addHandler(caplog.handler)
    try:
        with pytest.raises(ZeroDivisionError), quiet():
            raise ZeroDivisionError
        logger.error("told")
        assert "told" in caplog.messages
    finally:
        logger.removeHandler(caplog.handler)


def test_other_threads_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(LOGGERS[0])
    logger.addHandler(caplog.handler)
    try:
        with quiet():
            thread = threading.Thread(target=logger.error, args=("from elsewhere",))
            thread.start()
            thread.join()
        assert "from elsewhere" in caplog.messages
    finally:
        logger.removeHandler(caplog.handler)


def test_other_loggers_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        logging.getLogger("pymilvus.something_else").error("told")
    assert "told" in caplog.messages
