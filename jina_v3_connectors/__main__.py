"""`python -m jina_v3_connectors` is `jina-v3`."""

from __future__ import annotations

from .cli import main

main()
