"""One tree, one base class, and messages that name the value, the limit and the remedy."""

from __future__ import annotations

import inspect
import pickle

import pytest

from jina_v3_connectors import errors as connector_errors
from jina_v3_encoder import errors
from jina_v3_encoder.errors import (
    InputTooLong,
    InvalidDimensions,
    InvalidInput,
    JinaV3Error,
    MissingExtra,
    UnknownTask,
)


def classes(module: object) -> list[type[BaseException]]:
    return [member for _, member in inspect.getmembers(module, inspect.isclass) if issubclass(member, BaseException)]


@pytest.mark.parametrize("error", [*classes(errors), *classes(connector_errors)], ids=lambda error: error.__name__)
def test_every_error_has_the_one_base_and_stands_in_the_tree(error: type[BaseException]) -> None:
    assert issubclass(error, JinaV3Error)
    assert error.__doc__
    drawn = f"{errors.__doc__}{connector_errors.__doc__}"
    assert error.__name__ in drawn


def test_messages_hold_value_limit_and_remedy() -> None:
    message = str(UnknownTask("retrieval", ("a", "b")))
    assert "'retrieval'" in message
    assert "a, b" in message
    message = str(InvalidDimensions(2000, 1024))
    assert "leave dimensions out" not in message
    assert "2000" in message
    assert "1024" in message
    error = InputTooLong(3, 9000, 8192)
    assert (error.index, error.tokens, error.limit) == (3, 9000, 8192)
    for part in ("text 3", "9000", "8192", "truncate=True", "encode_spans"):
        assert part in str(error)
    assert "pip install 'jina-v3-connectors[eval]'" in str(MissingExtra("x", "eval"))


def test_they_are_also_what_python_calls_them() -> None:
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(MissingExtra, ImportError)


def test_a_mismatch_lists_both_sides_field_by_field() -> None:
    error = connector_errors.ContractMismatch("docs", {"dimensions": (256, 128), "late_chunking": (True, False)})
    assert error.differences == {"dimensions": (256, 128), "late_chunking": (True, False)}
    assert "dimensions: the collection has 256, you use 128" in str(error)
    assert "late_chunking: the collection has True, you use False" in str(error)
    assert "Nothing was changed" in str(error)


def test_plain_errors_cross_processes() -> None:
    """Worker processes send their errors by pickle."""
    error = pickle.loads(pickle.dumps(InvalidInput("bad value")))
    assert isinstance(error, InvalidInput)
    assert str(error) == "bad value"


@pytest.mark.parametrize(
    "error",
    [
        InputTooLong(3, 9000, 8192),
        UnknownTask("x", ("a", "b")),
        InvalidDimensions(0, 64),
        MissingExtra("pymilvus", "milvus"),
        InvalidInput("a sentence"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_between_processes(error: JinaV3Error) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
