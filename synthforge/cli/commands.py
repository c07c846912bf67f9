"""`synthforge COMMAND`: the commands under one name."""

from __future__ import annotations

import click

from synthforge.cli.convert_checkpoint import convert_checkpoint
from synthforge.cli.generate import generate
from synthforge.cli.options import version_option
from synthforge.cli.train_alignment import train


@click.group()
@version_option
def synthforge() -> None:
    """Labelled synthetic face datasets."""


synthforge.add_command(generate)
synthforge.add_command(train, "train-alignment")
synthforge.add_command(convert_checkpoint)
