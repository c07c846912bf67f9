"""`python -m synthforge convert-checkpoint`: the released pickle as plain tensors."""

from __future__ import annotations

from pathlib import Path

import click

from synthforge.cli.launch import started
from synthforge.cli.options import Command, OneLine, PathOption, check_new_file


@click.command("convert-checkpoint", cls=Command)
@click.argument("source", metavar="IN.pkl", type=PathOption())
@click.argument("target", metavar="OUT.safetensors", type=PathOption())
def convert_checkpoint(source: Path, target: Path) -> None:
    """Copy a Next3D checkpoint's averaged generator to a safetensors file.

    No code in the pickle is executed. Both files load the same.
    """
    if target.suffix != ".safetensors":
        raise OneLine(f"{target} should end in .safetensors, by which it is recognised")
    check_new_file(target)
    from synthforge.next3d.checkpoint import load_checkpoint, save_safetensors

    started()
    checkpoint = load_checkpoint(source)
    save_safetensors(checkpoint, target)
    numbers = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    click.echo(f"Wrote {len(checkpoint.tensors)} tensors ({numbers:,} numbers) to {target}.")
