"""Patterns of paths, as shells and .gitignore write them."""

from __future__ import annotations

import re
from functools import lru_cache

PART = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def matches(pattern: str, path: str) -> bool:
    """Whether a path, with slashes, fits a pattern. One without a slash is for the name alone, in any folder.

    `*` and `?` stay within a name, `**` does not, and `[a-z]` is one of these characters.
    """
    return _expression(pattern).fullmatch(path if "/" in pattern else path.rpartition("/")[2]) is not None


@lru_cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(map(_translated, PART.findall(pattern.removeprefix("./")))), re.DOTALL)


def _translated(part: str) -> str:
    match part:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
        case _ if len(part) > 2 and part.startswith("["):
            inside = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            return f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside.replace('^', chr(92) + '^', 1)}]"
        case _:
            return re.escape(part)
