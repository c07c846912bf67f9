"""Limits of cgroups count as they lie on disk, in both versions, with and without a namespace."""

import os

import pytest

from synthforge import cpus
from synthforge.cpus import threads_a_process, usable_cores

NO_LIMIT = {
    "proc/self/cgroup": "1:cpu:/\n0::/\n",
    "sys/fs/cgroup/cpu.max": "max 100000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
}
TREES = {
    "nothing there": ({}, 8),
    "no limit": (NO_LIMIT, 8),
    "more than there are": ({**NO_LIMIT, "sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8),
    "container, version 2": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"},
        3,
    ),
    "parts of cores": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"},
        3,
    ),
    "less than a core": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        1,
    ),
    "the parent's limit, version 2": (
        {
            "proc/self/cgroup": "0::/slurm/job_7/step_0\n",
            "sys/fs/cgroup/slurm/job_7/step_0/cpu.max": "max 100000\n",
            "sys/fs/cgroup/slurm/job_7/cpu.max": "400000 100000\n",
        },
        4,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "9:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n",
            "sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us": "100000\n",
        },
        2,
    ),
    "container, version 1: the host's path, which is not there": (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/a\n3:cpuset:/docker/a\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "500000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        5,
    ),
    "another controller's file": (
        {
            "proc/self/cgroup": "4:cpuacct:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "500000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        8,
    ),
    "nonsense": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1 0\n"},
        1,
    ),
}


@pytest.mark.parametrize("case", TREES)
def test_cores_that_may_be_used(case, tmp_path, monkeypatch):
    files, expected = TREES[case]
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores(tmp_path) == expected


def test_affinity_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert usable_cores(tmp_path) == 2


def test_a_system_without_affinity_has_all_its_cores(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores(tmp_path) == 6


@pytest.mark.parametrize(("text", "threads"), [(None, 1), ("4", 4), ("0", 1), ("4,2", 1)])
def test_threads_of_a_process(text, threads, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if text is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert threads_a_process() == threads


def test_one_thread_is_the_users_choice_if_there_is_one(monkeypatch):
    monkeypatch.setattr(cpus.os, "environ", {})
    cpus.one_thread()
    assert os.environ == {"OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
    monkeypatch.setattr(cpus.os, "environ", {"OMP_NUM_THREADS": "3"})
    cpus.one_thread()
    assert os.environ == {"OMP_NUM_THREADS": "3"}
