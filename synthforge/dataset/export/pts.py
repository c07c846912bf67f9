"""300W's form: 000000.png and 000000.pts, 68 points in iBUG's order.

A .pts file counts pixels from 1 (menpo, which reads them, subtracts 1): the centre of the first
pixel is at 1.0, here at 0.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import sample_name
from synthforge.dataset.read import Dataset
from synthforge.dataset.stored import StoredSample

_FIRST_CENTRE = 1.0 - 0.5


def write(dataset: Dataset, samples: Iterator[StoredSample], folder: Path) -> None:
    """See `Format`."""
    for sample in samples:
        name = sample_name(sample.index)
        (folder / f"{name}.png").write_bytes(sample.files["images"])
        (folder / f"{name}.pts").write_text(as_pts(sample.numbers("2d_kps")))


def as_pts(points: NDArray[np.float64]) -> str:
    """points: [68, 2], pixels, centres at +0.5."""
    rows = (f"{x + _FIRST_CENTRE:.3f} {y + _FIRST_CENTRE:.3f}\n" for x, y in points)
    return f"version: 1\nn_points: {len(points)}\n{{\n{''.join(rows)}}}\n"
