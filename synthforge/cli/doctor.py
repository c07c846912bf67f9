"""`synthforge doctor`: what this machine can do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from synthforge.cli.launch import started, without
from synthforge.cli.options import Command, asset_options
from synthforge.config import AssetPaths
from synthforge.cpus import one_thread

_EPILOG = """\b
Exit code: 0 if samples can be drawn and nothing is half there, 1 if something is wrong.
"""


@click.command(cls=Command, epilog=_EPILOG)
@asset_options
def doctor(pretrained_dir: Path | None, model_dir: Path | None) -> None:
    """Tell what this machine can do, and what is missing.

    Python, libraries, CUDA, memory; which model files were found where, their sizes, hashes and
    licences, and where to get the others. Then one sample is drawn to see, which takes some ten
    seconds.
    """
    one_thread()
    from synthforge import doctor as checks

    started()
    paths = AssetPaths(pretrained_dir, model_dir)
    problems: list[str] = []

    def show(title: str, findings: Iterable[checks.Finding]) -> None:
        click.echo(f"\n{title}")
        for finding in findings:
            click.echo(f"  {finding.line}")
            if finding.problem:
                problems.append(finding.problem)

    show("Machine", checks.machine())
    show("Libraries", checks.libraries(without))
    can_draw = not problems
    show("Devices", checks.devices())
    show("Files of the built-in head", checks.built_in_files())
    assets, findings = checks.model_files(paths)
    show("Files of Next3D and FLAME (the built-in head needs none of them)", findings)
    if can_draw:
        show("Self-test", checks.self_test(paths, "mannequin"))
        if not assets.missing:
            show("Self-test of Next3D", checks.self_test(paths, "next3d"))
    click.echo()
    if problems:
        click.echo("Problems")
        for number, problem in enumerate(problems, 1):
            click.echo(f"  {number}. {problem}")
    else:
        click.echo("Nothing is wrong.")
    click.echo(f"Next: {checks.next_command(assets, bool(problems))}")
    if problems:
        raise SystemExit(1)
