"""How much memory this process may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthforge.cgroups import groups, text

# Version of control groups -> files of the limit and of what is used, and the entry of memory.stat
# that says how much of that is a cache of files, which gives way.
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def usable_memory(root: Path = Path("/")) -> tuple[int, int]:
    """Bytes that this process may use, and those that are free: the machine's, and no more than its
    control groups allow. Zeros without Linux' /proc.

    root: where /proc and /sys are.
    """
    known = _numbers(text(root / "proc/meminfo").replace(":", ""))
    total, free = (1024 * known.get(name, 0) for name in ("MemTotal", "MemAvailable"))
    for limit, left in _limits(root):
        total, free = min(total, limit), min(free, left)
    return total, free


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limit of each group that has one, and what is left of it, in bytes."""
    for version, folder in groups("memory", root):
        limit, used, cache = _FILES[version]
        limit_text, used_text = text(folder / limit).strip(), text(folder / used).strip()
        if limit_text.isdecimal() and used_text.isdecimal():
            gives_way = _numbers(text(folder / "memory.stat")).get(cache, 0)
            most = int(limit_text)
            yield most, min(max(most - int(used_text) + gives_way, 0), most)


def _numbers(lines: str) -> dict[str, int]:
    """Name and number of each line that begins so."""
    words = [line.split() for line in lines.splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdecimal()}
