"""The Parquet export with Croissant 1.1 metadata, croissant.json (docs.mlcommons.org/croissant)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthforge.dataset.export import parquet
from synthforge.dataset.read import Dataset
from synthforge.dataset.stored import StoredSample
from synthforge.labels import IMAGES, NUMBERS

METADATA = "croissant.json"
_FILES = "parquet-files"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "arrayShape": "cr:arrayShape",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {pa.float32(): "sc:Float", pa.int64(): "sc:Integer"}


def write(dataset: Dataset, samples: Iterator[StoredSample], folder: Path) -> None:
    """See `Format`."""
    parquet.write(dataset, samples, folder)
    files = sorted((folder / "data").iterdir())
    schema = pq.read_schema(files[0])
    shapes = parquet.shapes(next(dataset.samples(dataset.indices[:1])).annotation)
    metadata = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "synthforge-faces",
        "description": f"{len(dataset)} labelled synthetic faces, made with SynthForge.",
        "license": dataset.card.get("licence_spdx", ""),
        "citeAs": dataset.card.get("citation", ""),
        "version": "1.0.0",
        "distribution": [
            *map(_file_object, files),
            {
                "@type": "cr:FileSet",
                "@id": _FILES,
                "name": _FILES,
                "encodingFormat": "application/x-parquet",
                "includes": "data/*.parquet",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "samples",
                "name": "samples",
                "field": [_field(entry, shapes.get(entry.name, ())) for entry in schema],
            }
        ],
    }
    (folder / METADATA).write_text(json.dumps(metadata, indent=1), encoding="utf-8")


def _file_object(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = f"{path.parent.name}/{path.name}"
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": digest,
    }


def _field(column: pa.Field, shape: tuple[int, ...]) -> dict[str, Any]:
    kind = column.type
    is_image = pa.types.is_struct(kind)
    while pa.types.is_list(kind):
        kind = kind.value_type
    label = IMAGES.get(parquet.folder_of(column.name)) if is_image else NUMBERS.get(column.name)
    text = f"{label.description} ({label.unit or 'no unit'})" if label else column.name
    source: dict[str, Any] = {"fileSet": {"@id": _FILES}, "extract": {"column": column.name}}
    if is_image:
        source["transform"] = {"jsonPath": "bytes"}
    array = {"isArray": True, "arrayShape": ",".join(map(str, shape))} if shape else {}
    return {
        "@type": "cr:Field",
        "@id": f"samples/{column.name}",
        "name": column.name,
        "description": text,
        "dataType": "sc:ImageObject" if is_image else _TYPES[kind],
        "source": source,
        **array,
    }
