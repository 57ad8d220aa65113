"""Small JSON files of a checkpoint, read with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import CheckpointError, CheckpointNotFound


def read_object(path: Path, if_missing: str = "") -> dict[str, Any]:
    """The JSON object in `path`; `if_missing` is added to the error when there is no such file.

    Raises:
        CheckpointNotFound: no such file.
        CheckpointError: unreadable, not JSON, or not an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointNotFound(f"{path} does not exist{if_missing}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds {type(values).__name__}, expected a JSON object")
    return values
