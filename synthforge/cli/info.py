"""`synthforge info`: what a dataset is."""

from __future__ import annotations

from pathlib import Path

import click

from synthforge.cli.launch import started
from synthforge.cli.options import Command, TargetOption


@click.command(cls=Command)
@click.argument("dataset", metavar="DIR", type=TargetOption())
def info(dataset: Path | str) -> None:
    """Tell what a dataset is, a folder or shards.

    How many samples of what, what they were drawn from and with, their labels and their licence.
    """
    from synthforge.dataset.info import describe

    started()
    where = click.format_filename(dataset)
    for line in [where, *describe(dataset)]:
        click.echo(line)
    click.echo(f"\nIs it whole? synthforge verify {where}")
