"""Keys and passwords from files, as containers get them: engines show the variables of a container to whoever asks."""

from __future__ import annotations

import os
from pathlib import Path

from jina_v3_encoder.errors import InvalidInput

FOLDER_VARIABLE = "JINA_V3_SECRETS"
NAMES = ("JINA_V3_SERVER_KEYS", "JINA_V3_API_KEY", "PGPASSWORD")


def read_secrets() -> None:
    """Set each variable of `NAMES` that is not set from the file of its name in the folder $JINA_V3_SECRETS.

    Raises:
        InvalidInput: there is no such folder, or a file in it cannot be read.
    """
    if not (folder := os.environ.get(FOLDER_VARIABLE)):
        return
    if not Path(folder).is_dir():
        raise InvalidInput(f"${FOLDER_VARIABLE}={folder} is no folder")
    for name in NAMES:
        file = Path(folder) / name
        if os.environ.get(name) or not file.exists():
            continue
        try:
            os.environ[name] = ",".join(file.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
            raise InvalidInput(f"{file} cannot be read: {reason}; the user of this process must be able to") from None
