"""Face Synthetics' form: 000000.png, 000000_seg.png and 000000_ldmks.txt in one folder.

As github.com/microsoft/FaceSynthetics describes it: 19 classes, 255 to ignore; 70 points, iBUG's 68
and the pupils, a line each. Points are in pixels with centres at +0.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthforge.dataset.folder import DatasetError, sample_name
from synthforge.dataset.read import Dataset
from synthforge.dataset.stored import StoredSample

_PARSING, _SCHEME = "parsing_facesynthetics", "ibug70"
_POINTS = f"2d_kps_{_SCHEME}"


def check(dataset: Dataset) -> None:
    """Raises DatasetError if the dataset has no such classes or no 70 points."""
    lacking = [] if _PARSING in dataset.folders else [f"--extras {_PARSING}"]
    first = next(dataset.samples(dataset.indices[:1]), None)
    if first is not None and _POINTS not in first.annotation:
        lacking.append(f"--keypoints {_SCHEME}")
    if lacking:
        raise DatasetError(
            f"{dataset.root} lacks what Face Synthetics has; generate it with {' '.join(lacking)}"
        )


def write(dataset: Dataset, samples: Iterator[StoredSample], folder: Path) -> None:
    """See `Format`."""
    for sample in samples:
        name = sample_name(sample.index)
        (folder / f"{name}.png").write_bytes(sample.files["images"])
        (folder / f"{name}_seg.png").write_bytes(sample.files[_PARSING])
        rows = (f"{x:.3f} {y:.3f}\n" for x, y in sample.numbers(_POINTS))
        (folder / f"{name}_ldmks.txt").write_text("".join(rows))
