"""The formats that a dataset can be exported to."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthforge.dataset.folder import DatasetError, told
from synthforge.whole_files import folder_appearing

if TYPE_CHECKING:
    from synthforge.dataset.read import Dataset
    from synthforge.dataset.stored import StoredSample
    from synthforge.dataset.target import Target


@dataclass(frozen=True)
class Format:
    """A module of this package, which has `write(dataset, samples, folder)`, and may have
    `check(dataset)`, which raises DatasetError if the dataset lacks what the format needs.

    packages: it needs beside the dependencies, as `pip install` names them.
    told_by: pattern of a file that no other format has; "" for what is itself a dataset.
    opened_by: what reads it, in a sentence.
    """

    module: str
    description: str
    packages: tuple[str, ...] = ()
    told_by: str = ""
    opened_by: str = ""


FORMATS = {
    "coco": Format(
        "coco",
        "COCO keypoints, boxes and masks, with WholeBody's fields of the face",
        told_by="annotations/keypoints.json",
        opened_by="pycocotools reads annotations/keypoints.json",
    ),
    "hf": Format(
        "parquet",
        "Parquet for the Hugging Face Hub, with its card",
        packages=("pyarrow",),
        told_by="data/train-*.parquet",
        opened_by="load_dataset of datasets reads the folder",
    ),
    "webdataset": Format("tars", "tar shards, as generate --format webdataset writes them"),
    "facesynthetics": Format(
        "facesynthetics",
        "as Face Synthetics; needs --extras parsing_facesynthetics --keypoints ibug70",
        told_by="*_ldmks.txt",
        opened_by="an image's points are in the *_ldmks.txt beside it",
    ),
    "300w": Format(
        "pts",
        "an image and a .pts file each",
        told_by="*.pts",
        opened_by="an image's points are in the .pts beside it",
    ),
    "croissant": Format(
        "croissant",
        "the same Parquet with Croissant 1.1 metadata",
        packages=("pyarrow",),
        told_by="croissant.json",
        opened_by="mlcroissant reads croissant.json",
    ),
}


def format_of(target: Target) -> str | None:
    """The format that a folder's files are in, by its name; None if it is none. Raises OSError."""
    found = None
    for name, known in FORMATS.items():
        folder, _, pattern = known.told_by.rpartition("/")
        files = target.sizes(folder) if folder else target.names()
        if pattern and any(fnmatchcase(file, pattern) for file in files):
            found = name  # the last: croissant has hf's files as well
    return found


def export(
    dataset: Dataset,
    name: str,
    folder: Path,
    bar: Callable[[Iterator[StoredSample], int], Iterator[StoredSample]],
) -> int:
    """Write all samples of a dataset to a new folder, which appears whole or not at all.

    name: of FORMATS. bar: passes the samples on, of which there are so many. One is in memory at a
    time. Returns their number.
    Raises DatasetError if the folder is there and not empty, a package is missing, the dataset has
    no sample or lacks what the format needs, or a file cannot be read or written.
    """
    known = FORMATS[name]
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DatasetError(f"{folder} is there already; give a new --output")
    module: Any = _imported(known)
    if hasattr(module, "check"):
        module.check(dataset)
    count = len(dataset)
    if not count:
        raise DatasetError(f"{dataset.root} holds no complete sample; nothing to export")
    failed = told(f"cannot write to {folder}", "nothing is left of it: correct this and try again")
    with failed, folder_appearing(folder) as partial:
        module.write(dataset, bar(dataset.samples(), count), partial)
    return count


def _imported(known: Format) -> Any:
    try:
        for package in known.packages:
            importlib.import_module(package)
    except ImportError as error:
        needs = " ".join(known.packages)
        raise DatasetError(f"this format needs another package: pip install {needs}") from error
    return importlib.import_module(f"synthforge.dataset.export.{known.module}")
