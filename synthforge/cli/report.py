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
def report(dataset: Path | str, output: Path) -> None:
    """Draw a dataset on one HTML page that needs no network.

    Samples with their labels, distributions, the mean face, a head to turn, settings and licence.
    """
    from synthforge.dataset.report.report import write_report

    started()
    write_report(dataset, output)
    click.echo(f"Report: {click.format_filename(output)}")
