"""How many CPU cores this process may use, and threads that each process computes with."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from synthforge.cgroups import groups, text

_THREADS = "OMP_NUM_THREADS"  # OpenBLAS and MKL follow it


def one_thread() -> None:
    """One thread for this process and its children, unless the user has set OMP_NUM_THREADS.

    It counts where torch, numpy and OpenCV are not imported yet: they read the environment once.
    """
    if _THREADS not in os.environ:
        os.environ |= threads_environment(1)


def threads_environment(threads: int) -> dict[str, str]:
    """Variables of a process that computes with so many threads."""
    return {_THREADS: str(threads), "OPENCV_FOR_THREADS_NUM": str(threads)}


def threads_a_process() -> int:
    """What OMP_NUM_THREADS says; 1 if it says nothing."""
    asked = os.environ.get(_THREADS, "")
    return max(int(asked), 1) if asked.isdecimal() else 1


def usable_cores(root: Path = Path("/")) -> int:
    """CPU cores that this process may use: its affinity, and its cgroup's limit rounded up.

    root: where /proc and /sys are.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _cgroup_limits(root))]))


def _cgroup_limits(root: Path) -> Iterator[float]:
    """CPU limits, in cores, of this process's control groups."""
    for version, folder in groups("cpu", root):
        if version == 1:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            numbers = [text(folder / name).strip() for name in names]
        else:
            numbers = text(folder / "cpu.max").split()
        match numbers:
            case [quota, period] if quota.isdecimal() and period.isdecimal():
                yield int(quota) / max(int(period), 1)
