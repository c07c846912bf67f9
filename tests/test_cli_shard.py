"""Shards cover the images once; a task of Slurm knows its own."""

from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from synthforge import assembly
from synthforge.cli.generate import generate
from synthforge.cli.shard import slurm_shard
from synthforge.config import MAX_INTEGER, RunConfig, Shard
from synthforge.errors import ConfigError, UserError


@given(st.integers(0, 100), st.integers(1, 300), st.integers(1, 20), st.integers(1, 30))
def test_shards_cover_the_images_once_in_order_and_evenly(start, count, shards, size):
    indices = range(start, start + count)
    parts = [Shard(i, shards).of(indices, size) for i in range(shards)]
    assert [index for part in parts for index in part] == list(indices)
    for before, after in pairwise(parts):
        assert before.stop == after.start
        assert before.stop % size == 0 or before.stop in (indices.start, indices.stop)
    assert max(map(len, parts)) <= size * (count // size // shards + 2)
    if size == 1:
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_largest_run_has_shards():
    run = RunConfig(Path("out"), MAX_INTEGER, start_index=MAX_INTEGER, shard=Shard(6, 7))
    assert run.indices.stop == 2 * MAX_INTEGER
    assert run.num_images == MAX_INTEGER


@pytest.mark.parametrize("pair", [(1, 1), (-1, 2), (0, 0), (8, 8)])
def test_a_shard_that_is_none_is_refused(pair):
    with pytest.raises(ConfigError, match="0/8 to 7/8"):
        Shard(*pair)


def array(task, count, first=0, **others):
    values = {"TASK_ID": task, "TASK_COUNT": count, "TASK_MIN": first, **others}
    return {f"SLURM_ARRAY_{name}": str(value) for name, value in values.items()}


def step(process, tasks):
    """Of a process that srun started."""
    return {
        "SLURM_JOB_ID": "9",
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": str(process),
        "SLURM_NTASKS": str(tasks),
    }


BATCH_SCRIPT = {"SLURM_JOB_ID": "9", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}
ENVIRONMENTS = {
    "no Slurm": ({"PATH": "/bin"}, (0, 1)),
    "array of 0-7": (array(3, 8), (3, 8)),
    "array of 1-8": (array(8, 8, 1), (7, 8)),
    "array of 0-6:2": (array(4, 4, 0, TASK_STEP=2), (2, 4)),
    "srun": (step(2, 4), (2, 4)),
    "srun in an array": (array(1, 3) | step(2, 4), (6, 12)),
    "a batch script of four tasks runs once": (BATCH_SCRIPT, (0, 1)),
    "a batch script in an array": (array(1, 3) | BATCH_SCRIPT, (1, 3)),
    "variables alone": ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, (0, 2)),
    "not numbers": ({"SLURM_PROCID": "x", "SLURM_NTASKS": "2"}, (0, 1)),
}


@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_a_task_of_slurm_knows_its_part(case):
    environment, expected = ENVIRONMENTS[case]
    assert slurm_shard(environment) == Shard(*expected)


@pytest.mark.parametrize("task", [7, 4])
def test_an_array_with_gaps_is_refused(task):
    with pytest.raises(ConfigError, match="--array=0-N or give --shard"):
        slurm_shard(array(task, 3, 1, TASK_STEP=2))


def test_a_task_beyond_its_step_is_refused():
    with pytest.raises(ConfigError, match="SLURM_PROCID is 9 where SLURM_NTASKS is 2"):
        slurm_shard({"SLURM_PROCID": "9", "SLURM_NTASKS": "2"})


class Reached(UserError):
    pass


@pytest.fixture
def begin(monkeypatch, tmp_path):
    def reach(*_, **__):
        raise Reached("work begins")

    monkeypatch.setattr(assembly, "build_parts", reach)
    for name, value in array(1, 3).items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        options = ["--output_dir", str(tmp_path / "a"), "--num_images", "9", *arguments]
        return CliRunner().invoke(generate, options).output

    return run


def test_a_run_says_that_slurm_chose_and_how_to_choose_otherwise(begin):
    output = begin()
    assert "Shard: 1/3" in output and "--shard 0/1" in output
    assert "work begins" in output
    assert "Shard" not in begin("--shard", "0/1")


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/2", "1/0", "/", "1/2/3"])
def test_a_malformed_shard_is_one_line(begin, text):
    output = begin("--shard", text)
    assert "--shard must be I/N" in output and "work begins" not in output
