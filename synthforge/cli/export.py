"""`synthforge export`: a dataset in the format that other tools read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthforge.cli.launch import started
from synthforge.cli.options import Command, PathOption, TargetOption

if TYPE_CHECKING:
    from synthforge.dataset.read import StoredSample

# Name -> a line of help; synthforge.dataset.export.formats has the same names (a test compares).
_FORMATS = ("coco", "hf", "webdataset", "facesynthetics", "300w", "croissant")

_EPILOG = """\b
Formats:
  coco            COCO keypoints, boxes and masks, with WholeBody's fields of the face
  hf              Parquet for the Hugging Face Hub, with its card
  webdataset      tar shards, as generate --format webdataset writes them
  facesynthetics  files named as in Face Synthetics; needs parsing_facesynthetics and ibug70
  300w            an image and a .pts file each
  croissant       the same Parquet with Croissant 1.1 metadata
Examples:
  synthforge export faces --to coco --output faces_coco
  synthforge export faces --to hf --output faces_hf
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("dataset", metavar="DIR", type=TargetOption())
@click.option("--to", "name", type=click.Choice(_FORMATS), required=True, help="Format.")
@click.option("--output", type=PathOption(), required=True, help="New folder to write.")
def export(dataset: Path | str, name: str, output: Path) -> None:
    """Write a dataset in another format, from a folder or shards.

    The new folder appears whole or not at all.
    """
    from synthforge.dataset.export import formats
    from synthforge.dataset.read import Dataset

    started()
    count = formats.export(Dataset(dataset), name, output, _bar)
    click.echo(f"{count} samples in {click.format_filename(output)}")


def _bar(samples: Iterator[StoredSample], count: int) -> Iterator[StoredSample]:
    from tqdm import tqdm

    yield from tqdm(samples, total=count, unit="sample", desc="Exporting", smoothing=0.1)
