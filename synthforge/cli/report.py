"""`synthforge report`: a dataset on one page."""

from __future__ import annotations

from pathlib import Path

import click

from synthforge.cli.launch import started
from synthforge.cli.options import Command, PathOption, TargetOption

_NAME = "report.html"


@click.command(cls=Command)
@click.argument("dataset", metavar="DIR", type=TargetOption())
@click.option(
    "--output", type=PathOption(dir_okay=False), default=_NAME, help="HTML file to write."
)
@click.option(
    "--like",
    type=PathOption(dir_okay=False),
    default=None,
    help="What `synthforge fit` wrote: draw the photographs' distributions beside the dataset's.",
)
def report(dataset: Path | str, output: Path, like: Path | None) -> None:
    """Draw a dataset on one HTML page that needs no network.

    Samples with their labels, distributions, the mean face, a head to turn, settings and licence.
    """
    from synthforge.dataset.report.report import write_report

    faces = None
    if like is not None:
        from synthforge.like import read_like  # imports torch, which takes seconds

        faces = read_like(like)
    started()
    write_report(dataset, output, faces)
    click.echo(f"Report: {click.format_filename(output)}")
