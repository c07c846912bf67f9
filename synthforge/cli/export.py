"""`synthforge export`: a dataset in the format that other tools read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthforge.cli.launch import started
from synthforge.cli.options import Command, PathOption, TargetOption
from synthforge.dataset.export.formats import FORMATS
from synthforge.dataset.export.formats import export as write_export
from synthforge.dataset.folder import counted

if TYPE_CHECKING:
    from synthforge.dataset.stored import StoredSample

_LISTED = "\n".join(f"  {name:16}{known.description}" for name, known in FORMATS.items())
_EPILOG = f"""\b
Formats:
{_LISTED}
Examples:
  synthforge export faces --to coco --output faces_coco
  synthforge export faces --to hf --output faces_hf
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("dataset", metavar="DIR", type=TargetOption())
@click.option("--to", "name", type=click.Choice(tuple(FORMATS)), required=True, help="Format.")
@click.option("--output", type=PathOption(), required=True, help="New folder to write.")
def export(dataset: Path | str, name: str, output: Path) -> None:
    """Write a dataset in another format, from a folder or shards.

    The new folder appears whole or not at all.
    """
    from synthforge.dataset.read import Dataset

    started()
    count = write_export(Dataset(dataset), name, output, _bar)
    click.echo(f"{counted(count, 'sample')} in {click.format_filename(output)}")


def _bar(samples: Iterator[StoredSample], count: int) -> Iterator[StoredSample]:
    from tqdm import tqdm

    yield from tqdm(samples, total=count, unit="sample", desc="Exporting", smoothing=0.1)
