"""How many CPU cores this process may use, and threads that each process computes with."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

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
    text = os.environ.get(_THREADS, "")
    return max(int(text), 1) if text.isdecimal() else 1


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
    """CPU limits, in cores, of this process's cgroups and of those above them.

    In a container /proc may name a cgroup as the host sees it, while /sys shows the container's at
    the top: those that are not there are passed over.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        own = Path(path.lstrip("/"))
        for folder in (own, *own.parents):
            if controllers:  # version 1
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                numbers = [_text(mount / folder / name).strip() for name in names]
            else:
                numbers = _text(mount / folder / "cpu.max").split()
            match numbers:
                case [quota, period] if quota.isdecimal() and period.isdecimal():
                    yield int(quota) / max(int(period), 1)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
