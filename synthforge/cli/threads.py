"""How many threads a command computes with."""

from __future__ import annotations

import os

from synthforge.config import PartsConfig
from synthforge.generators.known import pick


def limit_threads(parts: PartsConfig) -> None:
    """One thread for the built-in head, unless the user has set OMP_NUM_THREADS.

    Its work is in small pieces: OpenMP's threads would mostly spin, at many times the CPU time as
    soon as anything else runs. Next3D takes all cores.

    Call it before torch, numpy or OpenCV is imported: they read the environment once.
    Raises AssetError as `pick` does.
    """
    if pick(parts).one_thread and "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"  # OpenBLAS and MKL follow it
        os.environ["OPENCV_FOR_THREADS_NUM"] = "1"
