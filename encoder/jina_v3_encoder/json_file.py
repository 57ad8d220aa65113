"""Small JSON files of a checkpoint, read with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import CheckpointError, CheckpointNotFound


def is_special(path: Path) -> bool:
    """Whether `path` is a pipe, a socket or a device. Reading one may wait for ever."""
    return path.exists() and not path.is_file() and not path.is_dir()


def read_object(path: Path, if_missing: str = "") -> dict[str, Any]:
    """The JSON object in `path`. If there is no such file, the error ends with `if_missing`.

    Raises:
        CheckpointNotFound: no such file.
        CheckpointError: no regular file, unreadable, not JSON, or not an object.
    """
    if is_special(path):
        raise CheckpointError(f"{path} is no regular file: a pipe or a device may never end")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointNotFound(f"{path} does not exist{if_missing}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds {type(values).__name__}, expected a JSON object")
    return values
