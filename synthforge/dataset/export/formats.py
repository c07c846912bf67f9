"""The formats that a dataset can be exported to."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthforge.dataset.folder import DatasetError, told
from synthforge.whole_files import folder_appearing

if TYPE_CHECKING:
    from synthforge.dataset.read import Dataset
    from synthforge.dataset.stored import StoredSample


@dataclass(frozen=True)
class Format:
    """A module of this package, which has `write(dataset, samples, folder)`, and may have
    `check(dataset)`, which raises DatasetError if the dataset lacks what the format needs.

    packages: it needs beside the dependencies, as `pip install` names them.
    """

    module: str
    description: str
    packages: tuple[str, ...] = ()


FORMATS = {
    "coco": Format("coco", "COCO keypoints, boxes and masks, with WholeBody's fields of the face"),
    "hf": Format("parquet", "Parquet for the Hugging Face Hub, with its card", ("pyarrow",)),
    "webdataset": Format("tars", "tar shards, as generate --format webdataset writes them"),
    "facesynthetics": Format(
        "facesynthetics",
        "as Face Synthetics; needs --extras parsing_facesynthetics --keypoints ibug70",
    ),
    "300w": Format("pts", "an image and a .pts file each"),
    "croissant": Format("croissant", "the same Parquet with Croissant 1.1 metadata", ("pyarrow",)),
}


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
