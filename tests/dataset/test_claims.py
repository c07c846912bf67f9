"""Whose process lives is told on its own machine only; others' by how long they are silent."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from synthforge.dataset import claims
from synthforge.dataset.claims import SILENCE_S, alone, clear_dead, hosts_at_work, make_claim, renew

linux = pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="needs Linux' /proc")


def silent(claim, seconds):
    then = claim.stat().st_mtime - seconds
    os.utime(claim, (then, then))


def elsewhere(parent, name="node7_another-boot_1_1_abcd"):
    """The claim of a process that is not of this machine."""
    claim = parent / name
    claim.mkdir(parents=True)
    (claim / "images-000000.png").write_bytes(b"x")
    return claim


def test_ones_own_claim_is_at_work_however_long_it_is_silent(tmp_path):
    claim = make_claim(tmp_path / "partial")
    if Path("/proc/self/ns/pid").exists():
        silent(claim, 10 * SILENCE_S)
    clear_dead(tmp_path / "partial")
    assert claim.is_dir()
    assert hosts_at_work(tmp_path / "partial") == [claim.name.rsplit("_", 4)[0]]
    assert hosts_at_work(tmp_path / "partial", claim) == []


@linux
def test_a_killed_process_of_this_machine_is_cleared_and_a_living_one_is_not(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from synthforge.dataset.claims import make_claim\n"
        "print(make_claim(Path(sys.argv[1])), flush=True); time.sleep(600)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        claim = Path(other.stdout.readline().strip())
        silent(claim, 10 * SILENCE_S)
        clear_dead(tmp_path)
        assert claim.is_dir()
        assert len(hosts_at_work(tmp_path)) == 1
        other.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert hosts_at_work(tmp_path) == []  # a zombie
    finally:
        other.kill()
        other.communicate()
    assert hosts_at_work(tmp_path) == []
    clear_dead(tmp_path)
    assert not claim.exists()


@linux
def test_a_pid_used_again_is_another_process(tmp_path):
    claim = make_claim(tmp_path)
    host, machine, pid, start, token = claim.name.rsplit("_", 4)
    before = tmp_path / "_".join((host, machine, pid, str(int(start) - 1), token))
    claim.rename(before)
    assert hosts_at_work(tmp_path) == []
    clear_dead(tmp_path)
    assert not before.exists()


@pytest.mark.parametrize("name", ["node7_another-boot_1_1_abcd", "tmpx7a3", "a_b_c_d_e_f_g"])
def test_anothers_claim_is_cleared_by_age_only(tmp_path, name):
    claim = elsewhere(tmp_path, name)
    silent(claim, SILENCE_S - 60)
    clear_dead(tmp_path)
    assert len(hosts_at_work(tmp_path)) == 1
    assert list(claim.iterdir())
    silent(claim, 120)
    assert hosts_at_work(tmp_path) == []
    clear_dead(tmp_path)
    assert not claim.exists()


ELSEWHERE = {
    "another boot or host": (Path, "read_text", lambda *_, **__: "another-boot\n"),
    "another container": (os, "readlink", lambda _: "pid:[99]"),
    "another user": (os, "getuid", lambda: 99),
}


@linux
@pytest.mark.parametrize("where", ELSEWHERE)
def test_the_same_pid_elsewhere_is_another_process(tmp_path, monkeypatch, where):
    with monkeypatch.context() as there:
        there.setattr(*ELSEWHERE[where])
        there.setattr(claims, "_process_start", lambda _: "1")
        claim = make_claim(tmp_path)
    clear_dead(tmp_path)
    assert claim.is_dir()


def test_without_proc_claims_are_judged_by_age(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_machine", lambda: "unknown")
    monkeypatch.setattr(claims, "_process_start", lambda _: "")
    claim = make_claim(tmp_path)
    clear_dead(tmp_path)
    assert claim.is_dir()
    silent(claim, SILENCE_S + 60)
    clear_dead(tmp_path)
    assert not claim.exists()


def test_renewing_is_a_sign_of_life_and_makes_a_vanished_claim_again(tmp_path):
    claim = make_claim(tmp_path / "partial")
    silent(claim, 10 * SILENCE_S)
    before = claim.stat().st_mtime
    assert not renew(claim)
    assert claim.stat().st_mtime >= before + 10 * SILENCE_S - 60
    claim.rmdir()
    (tmp_path / "partial").rmdir()
    assert renew(claim)
    assert claim.is_dir()


def test_a_parent_that_another_run_removes_meanwhile_is_made_again(tmp_path, monkeypatch):
    parent, mkdir, calls = tmp_path / "partial", Path.mkdir, []

    def racing(path, *args, **kwargs):
        calls.append(path)
        if path.parent == parent and len(calls) < 4:
            mkdir(parent, exist_ok=True)
            parent.rmdir()
            raise FileNotFoundError
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", racing)
    assert make_claim(parent).is_dir()
    assert len(calls) > 2


def test_names_are_safe_in_any_file_system(tmp_path, monkeypatch):
    monkeypatch.setattr(claims.socket, "gethostname", lambda: "a/b:_c*ü")
    claim = make_claim(tmp_path)
    assert claim.parent == tmp_path
    assert hosts_at_work(tmp_path) == ["a-b--c-ü"]


def test_one_run_at_a_time_is_inside(tmp_path):
    inside, most = [], []

    def enter(_):
        with alone(tmp_path):
            inside.append(1)
            time.sleep(0.01)
            most.append(len(inside))
            inside.pop()

    with ThreadPoolExecutor(8) as runs:
        list(runs.map(enter, range(8)))
    assert most == [1] * 8 and not list(tmp_path.iterdir())


def test_a_run_that_died_inside_is_waited_for_and_no_longer(tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(claims.time, "sleep", waits.append)
    (tmp_path / "held").touch()
    with alone(tmp_path):
        assert sum(waits) == pytest.approx(10)
    assert not list(tmp_path.iterdir())
