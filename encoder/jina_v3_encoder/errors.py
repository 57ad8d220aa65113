"""Everything this project raises on purpose. Catch `JinaV3Error` for all of it.

JinaV3Error
 ├─ InvalidInput (ValueError)      an argument is wrong: the message names the value, the limit and the remedy
 │   ├─ UnknownTask
 │   ├─ InvalidDimensions
 │   ├─ InputTooLong
 │   └─ InvalidSpan
 ├─ CheckpointError                the model cannot be loaded or saved
 │   ├─ CheckpointNotFound         no such folder, no such file, or not in the cache while offline
 │   └─ CheckpointMismatch         config, tensors and code disagree; names and shapes are listed
 ├─ InvalidVector                  NaN, infinite or zero vectors, which no store may receive
 ├─ Busy                           the same request may succeed later
 ├─ RemoteError                    a server of vectors cannot be reached, refused, or answered nonsense
 │   └─ RemoteBusy (Busy)          it is overloaded, limits the rate, or is away for now
 ├─ MissingExtra (ImportError)     an optional package is absent; the message holds the pip line
 └─ StoreError                     see jina_v3_connectors.errors
"""

from __future__ import annotations

from typing import Any

PUBLISHED_DIMENSIONS = 1024


class JinaV3Error(Exception):
    """Base class of every error raised by this project. All can be pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, self.__dict__)


class InvalidInput(JinaV3Error, ValueError):
    """An argument has a wrong type or value."""


class UnknownTask(InvalidInput):
    """The task is not one of the five adapters of jina-embeddings-v3, nor None; or the model has no tasks."""

    def __init__(self, task: object, known: tuple[str, ...]) -> None:
        remedy = f"use one of {', '.join(known)}, or None for the base model"
        if not known:
            remedy = (
                "jina-embeddings-v2 has no tasks; leave task out or pass None, or use jina-embeddings-v3 and encode "
                "stored texts anew"
            )
        super().__init__(f"unknown task {task!r}: {remedy}")


class InvalidDimensions(InvalidInput):
    """The number of dimensions is not between 1 and the model's own, or the model has vectors of one size only."""

    def __init__(self, dimensions: object, limit: int, *, shorter: bool = True) -> None:
        """`shorter` is False for a model that was not trained for shorter vectors."""
        if not shorter:
            super().__init__(
                f"dimensions must be {limit}, got {dimensions!r}: jina-embeddings-v2 was not trained for slices of its "
                "vectors; leave dimensions out, or use jina-embeddings-v3, which was"
            )
            return
        message = f"dimensions must be a whole number from 1 to {limit}, got {dimensions!r}"
        if isinstance(dimensions, int) and limit < dimensions <= PUBLISHED_DIMENSIONS:
            message += (
                f": this model has {limit}, jina-embeddings-v3 has {PUBLISHED_DIMENSIONS}; leave dimensions out, or "
                "use that model"
            )
        super().__init__(message)


class InputTooLong(InvalidInput):
    """A text has more tokens than the model can attend to."""

    def __init__(self, index: int, tokens: int, limit: int) -> None:
        super().__init__(
            f"text {index} has {tokens} tokens with its prompt, the limit is {limit}: "
            "pass truncate=True to cut it, or use encode_spans for late chunking of any length"
        )
        self.index, self.tokens, self.limit = index, tokens, limit


class InvalidSpan(InvalidInput):
    """A character span is reversed, outside its text, or holds no token."""


class CheckpointError(JinaV3Error):
    """A model cannot be loaded or saved."""


class CheckpointNotFound(CheckpointError):
    """The model or one of its files does not exist at the given place."""


class CheckpointMismatch(CheckpointError):
    """The tensors of a checkpoint are not those its config announces."""


class InvalidVector(JinaV3Error):
    """A vector is NaN, infinite or zero."""


class Busy(JinaV3Error):
    """A server is overloaded, cannot be reached for now, or limits the rate.

    `retry_after` is how many seconds the server asks to wait. `absent` is True if nothing answers at the address.
    """

    final: type[JinaV3Error] = JinaV3Error
    """The kind of error to raise if it never gets better."""

    def __init__(self, message: str, retry_after: float | None = None, *, absent: bool = False) -> None:
        super().__init__(message)
        self.retry_after, self.absent = retry_after, absent


class RemoteError(JinaV3Error):
    """A server of vectors cannot be reached, refused a request, or answered nonsense."""


class RemoteBusy(RemoteError, Busy):
    """A server of vectors is busy."""

    final = RemoteError


def _rebuilt(kind: type[JinaV3Error], arguments: tuple[Any, ...], state: dict[str, Any]) -> JinaV3Error:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(state)
    return error


class MissingExtra(JinaV3Error, ImportError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'jina-v3-connectors[{extra}]'")
