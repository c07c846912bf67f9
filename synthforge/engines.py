"""Which engine draws a run, with how many workers on which devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch

from synthforge.assembly import Rig, build_rig
from synthforge.config import PartsConfig, RunConfig
from synthforge.cpus import threads_a_process, usable_cores
from synthforge.dataset.card import other_settings
from synthforge.dataset.folder import DatasetError, counted
from synthforge.dataset.sink import Writer
from synthforge.generators.known import GENERATORS
from synthforge.pipeline import Engine, InProcess
from synthforge.workers import Workers

# A process starts for no fewer images: it takes some seconds to be ready.
_LEAST_IMAGES = 8


def pick_engine(
    run: RunConfig, rig: Rig, writer: Writer, missing: int, tell: Callable[[str], None]
) -> Engine:
    """The engine that the run asks for; it no longer needs the rig if it has several workers.

    missing: images to draw. writer: open. tell: takes the lines that a user should see.
    """
    parts = replace(rig.parts, generator=rig.generator.name)
    if run.ray_address is not None:
        return _ray_tasks(run, parts, writer, tell)
    devices = worker_devices(
        run.workers,
        rig.parts.device,
        missing,
        cores=usable_cores() // threads_a_process(),
        gpus=torch.cuda.device_count(),
        one_thread=GENERATORS[rig.generator.name].one_thread,
    )
    if run.format == "webdataset":  # a shard has one worker
        devices = devices[: -(-missing // run.samples_per_tar) or 1]
    if len(devices) == 1:
        return InProcess(rig, run, writer.sink)
    tell(f"Workers: {len(devices)}")
    builds = [
        partial(build_alike, writer.recipe, run, replace(parts, device=device))
        for device in devices
    ]
    return Workers(builds, run, writer.sink)


def _ray_tasks(
    run: RunConfig, parts: PartsConfig, writer: Writer, tell: Callable[[str], None]
) -> Engine:
    from synthforge.ray_tasks import RayTasks, cluster

    gpus = cluster("num_gpus")
    device = task_device(parts.device, gpus, GENERATORS[parts.generator].one_thread)
    resources = (
        {"num_cpus": threads_a_process()} if device == "cpu" else {"num_cpus": 1, "num_gpus": 1}
    )
    build = partial(build_alike, writer.recipe, run, replace(parts, device=device))
    at_once = None if run.workers == "auto" else run.workers
    engine = RayTasks(build, run, writer.sink, resources, at_once)
    place = "core" if device == "cpu" else "GPU"
    tell(f"Ray: {counted(engine.workers, 'task')} at once, a {place} each")
    return engine


def task_device(device: str, gpus: int, one_thread: bool) -> str:
    """The device of a Ray task: "cuda" for the GPU that Ray gives it, or "cpu".

    device: of the parts. gpus: of the cluster. "auto" is a GPU for what needs more than a thread.
    """
    if device == "auto":
        return "cuda" if gpus and not one_thread else "cpu"
    return device


def worker_devices(
    asked: int | Literal["auto"],
    device: str,
    missing: int,
    *,
    cores: int,
    gpus: int,
    one_thread: bool,
) -> list[str]:
    """The device of each worker; one name for a run that needs no processes of its own.

    asked: run.workers. "auto" is one a GPU; on the CPU one a core for a generator of one thread, or
    one for another; but never so many that a worker has less to do than its start takes.
    device: of the parts, "auto" or a name. missing: images to draw. gpus: that torch sees.
    """
    if device in ("auto", "cuda") and gpus:
        places = [f"cuda:{i}" for i in range(gpus)]
    elif device.startswith("cuda") or not one_thread:
        places = [device]
    else:
        places = ["cpu"] * max(cores, 1)
    count = min(len(places), missing // _LEAST_IMAGES) if asked == "auto" else min(asked, missing)
    return [places[i % len(places)] for i in range(max(count, 1))]


def build_alike(recipe: Mapping[str, Any], run: RunConfig, parts: PartsConfig) -> Rig:
    """Build parts in another process than the one whose dataset has the recipe.

    Raises DatasetError if they draw other samples, as where a file was replaced meanwhile, and what
    `build_rig` raises.
    """
    rig = build_rig(parts, tell=lambda _: None)
    differing = other_settings(recipe, run, rig)
    if differing:
        raise DatasetError(
            f"a worker would draw with another {differing} than the run began with; restore the "
            "files that it reads, and run the same command again"
        )
    return rig
