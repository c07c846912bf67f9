"""`synthforge COMMAND`: the commands under one name, each imported when it is called."""

from __future__ import annotations

import importlib

import click

from synthforge.cli.options import version_option

# Name -> module, the command in it, and a line of --help: the command's own first sentence.
COMMANDS = {
    "generate": (
        "synthforge.cli.generate",
        "generate",
        "Write a dataset of labelled synthetic faces.",
    ),
    "verify": (
        "synthforge.cli.verify",
        "verify",
        "Prove a dataset whole, a folder or shards.",
    ),
    "info": (
        "synthforge.cli.info",
        "info",
        "Tell what a dataset is, a folder or shards.",
    ),
    "report": (
        "synthforge.cli.report",
        "report",
        "Draw a dataset on one HTML page that needs no network.",
    ),
    "preview": (
        "synthforge.cli.preview",
        "preview",
        "Choose a face by sliders, on a page of this machine.",
    ),
    "export": (
        "synthforge.cli.export",
        "export",
        "Write a dataset in another format, from a folder or shards.",
    ),
    "fit": (
        "synthforge.cli.fit",
        "fit",
        "Recover the heads in a folder of photographs, for generate's --like.",
    ),
    "doctor": (
        "synthforge.cli.doctor",
        "doctor",
        "Tell what this machine can do, and what is missing.",
    ),
    "train-alignment": (
        "synthforge.cli.train_alignment",
        "train",
        "Learn where the head truly sits in the generated face.",
    ),
    "convert-checkpoint": (
        "synthforge.cli.convert_checkpoint",
        "convert_checkpoint",
        "Copy a Next3D checkpoint's averaged generator to a safetensors file.",
    ),
}


class Commands(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=Commands)
@version_option
def synthforge() -> None:
    """Labelled synthetic face datasets."""
