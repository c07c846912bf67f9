"""Which runs are at work in a folder, told without locks.

On many network file systems locks are local to a machine, or fail. So each run has a folder of its
own instead, its claim, which also holds its unfinished files. The claim's name says where the run
is; each write renews its time.

Only a claim of this very machine is judged by whether its process lives. Any other is taken for
dead after an hour of silence. If that was wrong, the run makes its claim again and goes on.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

SILENCE_S = 3600
# Runs that read, change and write a file take milliseconds; one that died there is waited for.
_HELD_S, _LOOKS = 10, 1000

_UNKNOWN = "unknown"
# Claims are made anew where another run, the last one, removes their parent at the same time.
_TRIES = 10


def make_claim(parent: Path) -> Path:
    """A new folder below `parent` for this process."""
    pid = os.getpid()
    parts = (_host(), _machine(), pid, _process_start(pid), secrets.token_hex(4))
    claim = parent / "_".join(map(str, parts))
    renew(claim)
    return claim


def renew(claim: Path) -> bool:
    """Show that the claim's run lives. Whether the claim had vanished, and was made again."""
    try:
        os.utime(claim)
        return False
    except FileNotFoundError:
        for left in reversed(range(_TRIES)):
            try:
                claim.mkdir(parents=True, exist_ok=True)
                break
            except FileNotFoundError:
                if not left:
                    raise
        return True


def hosts_at_work(parent: Path, own: Path | None = None) -> list[str]:
    """Host names of the runs with a claim below `parent`, but for `own`."""
    return [_fields(claim)[0] for claim in _claims(parent) if claim != own and not _is_dead(claim)]


def clear_dead(parent: Path) -> None:
    """Remove what dead runs left below `parent`."""
    for claim in _claims(parent):
        if _is_dead(claim):
            shutil.rmtree(claim, ignore_errors=True)


@contextlib.contextmanager
def alone(parent: Path) -> Iterator[None]:
    """One run with a claim below `parent` at a time is inside: what it reads is still so when it
    writes.

    A file says so that only one can make, which network file systems see to as well. Who finds it
    there for ten seconds goes on: its run has died.
    """
    held = parent / "held"
    for _ in range(_LOOKS):
        try:
            held.touch(exist_ok=False)
            break
        except FileExistsError:
            time.sleep(_HELD_S / _LOOKS)
    try:
        yield
    finally:
        held.unlink(missing_ok=True)


def _claims(parent: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from [path for path in parent.iterdir() if path.is_dir()]


def _is_dead(claim: Path) -> bool:
    _, machine, pid, start = _fields(claim)
    if machine == _machine() != _UNKNOWN:
        return _process_start(pid) != start
    try:
        return time.time() - claim.stat().st_mtime > SILENCE_S
    except FileNotFoundError:
        return True


def _fields(claim: Path) -> tuple[str, str, str, str]:
    """Host, machine, pid and process start."""
    parts = claim.name.rsplit("_", 4)
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 5 else ("?", "", "", "")


def _host() -> str:
    """The host's name, as far as it can be part of a file's."""
    return "".join(c if c.isalnum() or c in "-." else "-" for c in socket.gethostname())


def _machine() -> str:
    """What tells pids apart: this boot of the kernel, this pid namespace, and the user, since
    processes of another may be hidden. Unknown without Linux' /proc.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return _UNKNOWN
    return f"{boot}-{namespace}-{os.getuid()}"


def _process_start(pid: int | str) -> str:
    """When a process of this machine started, in clock ticks since boot; "" if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    fields = stat.rpartition(b")")[2].split()  # after the command's name: state, ..., start time
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
