"""How many processor cores this process may use, and the number of threads that follows from it."""

from __future__ import annotations

import math
import os
import sys
import threading
from pathlib import Path

from ..errors import InvalidInput

MOST_THREADS = 1024
TORCH_SETTING = threading.RLock()
"""Held while torch's number of threads, which is one for the process, is another for a moment."""


def resolve_threads(threads: int | None) -> int:
    """The number of computing threads: as asked, or None for what the machine grants.

    Raises:
        InvalidInput: not a whole number from 1 to 1024.
    """
    if threads is None:
        import torch  # the command line counts cores without it

        with TORCH_SETTING:
            return max(1, min(torch.get_num_threads(), granted_cores()))
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= MOST_THREADS:
        raise InvalidInput(f"threads must be a whole number from 1 to {MOST_THREADS}, or None, got {threads!r}")
    return threads


def granted_cores(root: Path = Path("/")) -> int:
    """Cores that this process may run on: its affinity, and the quota of its control groups, rounded up.

    A container with a quota sees all cores of its host. A thread on each would be halted most of the time.
    """
    if sys.platform != "linux":
        return os.cpu_count() or 1
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), cpu_quota(root))))


def cpu_quota(root: Path = Path("/")) -> float:
    """Cores' worth of time that control groups grant, infinite without a limit. `root` is where /proc and /sys lie.

    Reads `cpu.max` (version 2) and `cpu.cfs_quota_us` (version 1) of the process's group and of all groups above it.
    """
    shares = [math.inf]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        folder = top / group.strip("/")
        # In a container the group's path is the host's, and its files lie at the top.
        for level in [folder, *folder.parents]:
            if level == top.parent:
                break
            shares.append(_quota_of(level))
    return min(shares)


def _quota_of(folder: Path) -> float:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    try:
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (ValueError, ZeroDivisionError):
        return math.inf  # "max", or no such file


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=TORCH_SETTING.acquire, after_in_parent=TORCH_SETTING.release, after_in_child=TORCH_SETTING.release
    )
