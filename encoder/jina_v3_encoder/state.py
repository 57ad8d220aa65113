"""The folder for what this machine remembers from one run to the next."""

from __future__ import annotations

import os
from pathlib import Path

STATE_VARIABLE = "JINA_V3_STATE"


def state_folder() -> Path:
    """$JINA_V3_STATE, else a folder in the user's state folder. It may not exist yet.

    Raises:
        RuntimeError: neither is set, and the user has no home.
    """
    if told := os.environ.get(STATE_VARIABLE):
        return Path(told)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "jina-v3"
