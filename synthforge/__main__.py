"""python -m synthforge COMMAND"""

from __future__ import annotations

import click

from synthforge.cli.convert_checkpoint import convert_checkpoint
from synthforge.cli.generate import generate
from synthforge.cli.train_alignment import train


@click.group()
def main() -> None:
    """Labelled synthetic face datasets."""


main.add_command(convert_checkpoint)
main.add_command(generate)
main.add_command(train, "train-alignment")

if __name__ == "__main__":
    main()
