"""The control groups of this process, by which containers and batch systems limit it (Linux)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def groups(controller: str, root: Path) -> Iterator[tuple[int, Path]]:
    """Version, 1 or 2, and folder of each group with this controller: its own and those above.

    In a container /proc may name a group as the host sees it, while /sys shows the container's at
    the top: folders need not be there. root: where /proc and /sys are.
    """
    for line in text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = Path(path.lstrip("/"))
        for folder in (own, *own.parents):
            yield 1 if controllers else 2, mount / folder


def text(path: Path) -> str:
    """A file's content; "" if there is none."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
