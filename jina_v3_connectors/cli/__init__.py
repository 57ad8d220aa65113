"""The `jina-v3` command: one file per subcommand, loaded when it is called."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
