"""How many threads: what was asked, or what affinity and control groups grant."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.network.cores import cpu_quota, granted_cores, resolve_threads


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "50000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
            },
            0.5,
        ),
        ({"proc/self/cgroup": "0::/host/docker/1f\n", "sys/fs/cgroup/cpu.max": "200000 100000"}, 2),
        (
            {
                "proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/docker/1f\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            math.inf,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "rubbish"}, math.inf),
    ],
    ids=["none", "v2-max", "v2", "v2-parent", "v2-in-a-container", "v1", "v1-unlimited", "rubbish"],
)
def test_the_smallest_quota_of_all_groups_counts(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    assert cpu_quota(machine(tmp_path, files)) == cores


@pytest.mark.skipif(sys.platform != "linux", reason="affinity and control groups are Linux'")
def test_a_quota_is_rounded_up_and_never_above_the_affinity(tmp_path: Path) -> None:
    group = {"proc/self/cgroup": "0::/\n"}
    assert granted_cores(machine(tmp_path, {**group, "sys/fs/cgroup/cpu.max": "10000 100000"})) == 1
    available = len(os.sched_getaffinity(0))
    assert granted_cores(machine(tmp_path, {**group, "sys/fs/cgroup/cpu.max": "1000000000 1000"})) == available
    just_below = f"{100_000 * available - 1} 100000"
    assert granted_cores(machine(tmp_path, {**group, "sys/fs/cgroup/cpu.max": just_below})) == available


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux'")
def test_affinity_decides_in_a_real_process() -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from jina_v3_encoder import Encoder; print(Encoder.from_pretrained('nano').threads)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_torchs_own_setting_is_an_upper_bound() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert resolve_threads(None) == 1
        assert resolve_threads(3) == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [0, -1, 1025, 2.0, True, "2"])
def test_nonsense_is_refused(threads: int) -> None:
    with pytest.raises(InvalidInput, match=f"threads must be a whole number from 1 to 1024, or None, got {threads!r}"):
        resolve_threads(threads)
