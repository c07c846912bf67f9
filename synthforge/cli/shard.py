"""Which part of the dataset a run draws: --shard, or what Slurm's variables say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from synthforge.config import Shard
from synthforge.errors import ConfigError


def shard_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--shard I/N`, arriving as a Shard or None."""

    def parse(_: click.Context, __: click.Parameter, text: str | None) -> Shard | None:
        if text is None:
            return None
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal()):
            raise ConfigError(
                f"--shard must be I/N with I from 0 to N - 1, such as 0/8 to 7/8, got {text!r}"
            )
        return Shard(int(index), int(count))

    return click.option(
        "--shard",
        default=None,
        metavar="I/N",
        callback=parse,
        help="Draw the I-th of N parts of the images only, I from 0 to N - 1.  [default: all; in a "
        "Slurm array and under srun, the task's part]",
    )(function)


def slurm_shard(environment: Mapping[str, str]) -> Shard:
    """The part of a task of a Slurm array, of one that srun started, or of both; else everything.

    Raises ConfigError for an array whose task numbers have gaps of different sizes, and for
    variables that contradict each other.
    """
    numbers = {name: int(text) for name, text in environment.items() if text.isdecimal()}
    array, task = Shard(), Shard()
    if "SLURM_ARRAY_TASK_ID" in numbers and "SLURM_ARRAY_TASK_COUNT" in numbers:
        after = numbers["SLURM_ARRAY_TASK_ID"] - numbers.get("SLURM_ARRAY_TASK_MIN", 0)
        index, left = divmod(after, numbers.get("SLURM_ARRAY_TASK_STEP") or 1)
        count = numbers["SLURM_ARRAY_TASK_COUNT"]
        if left or not 0 <= index < count:
            raise ConfigError(
                f"task {numbers['SLURM_ARRAY_TASK_ID']} of a Slurm array of {count} tasks: their "
                "numbers have gaps, so its part is not known; submit with --array=0-N or give "
                "--shard"
            )
        array = Shard(index, count)
    # A batch script runs once, as process 0 of all tasks that it asked for: only srun has steps.
    is_batch_script = "SLURM_JOB_ID" in environment and "SLURM_STEP_ID" not in environment
    if "SLURM_PROCID" in numbers and "SLURM_NTASKS" in numbers and not is_batch_script:
        index, count = numbers["SLURM_PROCID"], numbers["SLURM_NTASKS"]
        if index >= count:
            raise ConfigError(
                f"SLURM_PROCID is {index} where SLURM_NTASKS is {count}; give --shard, or unset "
                "them"
            )
        task = Shard(index, count)
    return Shard(array.index * task.count + task.index, array.count * task.count)
