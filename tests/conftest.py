import os

# Before torch and OpenCV are imported: tests run side by side and start children, and threads of
# each would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
# If there are more after all, they sleep while they wait: spinning, they take the cores from the
# tests beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import pytest
import torch

# Where the suite itself is a task of Slurm, runs would take a part of their images only.
for name in [name for name in os.environ if name.startswith("SLURM_")]:
    del os.environ[name]


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
