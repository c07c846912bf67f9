"""How many threads a command computes with."""

from __future__ import annotations

from synthforge.config import PartsConfig
from synthforge.cpus import one_thread
from synthforge.generators.known import pick


def limit_threads(parts: PartsConfig) -> None:
    """One thread for the built-in head, unless the user has set OMP_NUM_THREADS.

    Its work is in small pieces: OpenMP's threads would mostly spin, at many times the CPU time as
    soon as anything else runs. Next3D takes all cores.

    Call it before torch, numpy or OpenCV is imported.
    Raises AssetError as `pick` does.
    """
    if pick(parts).one_thread:
        one_thread()
