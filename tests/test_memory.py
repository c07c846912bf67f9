"""Memory is the machine's, or what control groups leave of it, in both versions."""

import pytest

from synthforge.memory import usable_memory

MB = 2**20
MEMINFO = {
    "proc/meminfo": "MemTotal:    8192 kB\nMemFree: 1 kB\nMemAvailable:    6144 kB\nHugePages: 0\n"
}
HERE = (8 * MB, 6 * MB)


def version_2(folder="", limit=4 * MB, used=3 * MB, stat="anon 9\ninactive_file 1048576\n"):
    group = f"sys/fs/cgroup/{folder}"
    return {
        "proc/self/cgroup": f"0::/{folder}\n",
        f"{group}/memory.max": f"{limit}\n",
        f"{group}/memory.current": f"{used}\n",
        f"{group}/memory.stat": stat,
    }


TREES = {
    "no Linux": ({}, (0, 0)),
    "no groups": (MEMINFO, HERE),
    "no limit": (MEMINFO | version_2(limit="max"), HERE),
    "a container's": (MEMINFO | version_2(), (4 * MB, 2 * MB)),
    "without statistics": (MEMINFO | version_2(stat=""), (4 * MB, MB)),
    "more than the machine has": (MEMINFO | version_2(limit=64 * MB), HERE),
    "used up": (MEMINFO | version_2(used=5 * MB, stat=""), (4 * MB, 0)),
    "the parent's": (
        MEMINFO | version_2("job", 2 * MB, 0) | {"proc/self/cgroup": "0::/job/step\n"},
        (2 * MB, 2 * MB),
    ),
    "version 1": (
        MEMINFO
        | {
            "proc/self/cgroup": "9:cpu:/\n3:memory:/docker/a\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{4 * MB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{3 * MB}\n",
            "sys/fs/cgroup/memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {MB}\n",
        },
        (4 * MB, 2 * MB),
    ),
    "version 1, no limit": (
        MEMINFO
        | {
            "proc/self/cgroup": "3:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{3 * MB}\n",
        },
        HERE,
    ),
}


@pytest.mark.parametrize("case", TREES)
def test_memory_that_may_be_used(case, tmp_path):
    files, expected = TREES[case]
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert usable_memory(tmp_path) == expected
