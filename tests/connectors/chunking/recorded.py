"""A recorded page of chunks, as another project wrote it: `## NAME`, `#### n chunk(s)`, then the chunks."""

from __future__ import annotations

import re


def recorded_chunks(page: str, name: str) -> list[str]:
    """The chunks under a name. Each stands with a blank line behind it, and keeps its own line breaks."""
    section = page.split(f"## {name}\n")[1].split("\n## ")[0].partition("chunk(s)\n\n")[2]
    return [line[:-2] for line in re.findall(r"[^\n]+\n*", section) if not line.startswith("---")]
