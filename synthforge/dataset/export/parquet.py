"""Parquet for the Hugging Face Hub: data/*.parquet, with images as PNG files, and README.md.

`datasets.load_dataset(folder)` opens it. A file holds _ROWS samples, so that a dataset of 10
million stays within the Hub's 10,000 files a folder.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthforge.dataset.export.hub_card import hub_card
from synthforge.dataset.folder import sample_name
from synthforge.dataset.read import Dataset
from synthforge.dataset.stored import StoredSample

_ROWS = 1000
# Decoded at once by readers.
_GROUP = 100

_PNG = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(dataset: Dataset, samples: Iterator[StoredSample], folder: Path) -> None:
    """See `Format`."""
    (folder / "data").mkdir()
    count = len(dataset)
    files = -(-count // _ROWS)
    first = next(samples)
    schema = _schema(dataset.folders, first.annotation)
    every = itertools.chain([first], samples)
    for number in range(files):
        path = folder / "data" / f"train-{number:05d}-of-{files:05d}.parquet"
        with pq.ParquetWriter(path, schema) as writer:
            part = itertools.islice(every, _ROWS)
            while group := list(itertools.islice(part, _GROUP)):
                rows = [_row(sample, dataset.folders) for sample in group]
                writer.write_table(pa.Table.from_pylist(rows, schema))
    (folder / "README.md").write_text(hub_card(dataset), encoding="utf-8")


def column(folder: str) -> str:
    """Of a folder's images."""
    return "image" if folder == "images" else folder


def folder_of(column: str) -> str:
    """The reverse of `column`."""
    return "images" if column == "image" else column


def shapes(annotation: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Of each key."""
    return {key: np.asarray(value).shape for key, value in annotation.items()}


def _row(sample: StoredSample, folders: tuple[str, ...]) -> dict[str, Any]:
    name = f"{sample_name(sample.index)}.png"
    images = {column(f): {"bytes": sample.files[f], "path": name} for f in folders}
    return images | dict(sample.annotation)


def _schema(folders: tuple[str, ...], annotation: Mapping[str, Any]) -> pa.Schema:
    """Columns, with the features of `datasets` in the metadata."""
    fields = [pa.field(column(folder), _PNG) for folder in folders]
    features: dict[str, Any] = {column(folder): {"_type": "Image"} for folder in folders}
    for key, value in annotation.items():
        array = np.asarray(value)
        is_float = array.dtype.kind == "f"
        kind = pa.float32() if is_float else pa.int64()
        feature: dict[str, Any] = {"dtype": "float32" if is_float else "int64", "_type": "Value"}
        for _ in array.shape:
            kind, feature = pa.list_(kind), {"feature": feature, "_type": "Sequence"}
        fields.append(pa.field(key, kind))
        features[key] = feature
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})
