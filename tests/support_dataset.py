"""Small samples, and folders of them."""

import numpy as np

from synthforge.dataset.sample import Sample
from synthforge.dataset.write import DatasetWriter

CARD = {"recipe": {"seed": 1, "range": (0, 1)}, "version": "x"}


def sample(index=0, extras=(), attempt=0):
    rng = np.random.default_rng([index, attempt])
    files = {
        "images": rng.integers(0, 256, (8, 8, 3), np.uint8),
        "seg": rng.integers(0, 256, (8, 8, 3), np.uint8),
        "depth": rng.integers(0, 256, (8, 8), np.uint8),
    }
    shapes = {"uv": (8, 8, 3)}
    files |= {
        extra: rng.integers(0, 65536, shapes.get(extra, (8, 8)), np.uint16) for extra in extras
    }
    numbers = {"2d_kps": rng.normal(size=(68, 2)).astype(np.float32), "depth_range": [1.5, 2.5]}
    numbers["kps_visible"] = rng.integers(0, 2, 68)
    return Sample(index, files, numbers | {"index": index, "attempt": attempt})


def open_writer(root, extras=(), recipe=CARD["recipe"]):
    writer = DatasetWriter(root, CARD | {"recipe": recipe}, extras)
    writer.open()
    return writer


def make(root, *indices, extras=(), recipe=CARD["recipe"]):
    """A dataset of these samples; its folder."""
    writer = open_writer(root, extras, recipe)
    for index in indices:
        writer.sink.write(sample(index, extras))
    writer.close()
    return root
