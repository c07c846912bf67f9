"""`synthforge verify`: is a dataset whole, and if not, draw again what is damaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from synthforge.cli.launch import started
from synthforge.cli.options import (
    AutoOrCount,
    Command,
    OneLine,
    PathOption,
    TargetOption,
    asset_options,
)
from synthforge.config import AssetPaths, RunConfig
from synthforge.cpus import one_thread, usable_cores
from synthforge.dataset.folder import counted
from synthforge.generators.known import GENERATORS

if TYPE_CHECKING:
    from synthforge.dataset.verify.report import Report
    from synthforge.dataset.verify.sample_check import Checked

_EPILOG = """\b
Exit code: 0 if the dataset is whole, 1 if something is wrong, 2 if it cannot be verified.
Examples:
  synthforge verify faces
  synthforge verify faces --fix
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("dataset", metavar="DIR", type=TargetOption())
@click.option(
    "--fix",
    is_flag=True,
    help="Draw what is damaged or missing again, with the dataset's own settings.",
)
@click.option(
    "--workers",
    type=AutoOrCount(),
    default=RunConfig.workers,
    help="Threads that check, and processes that draw. auto: one a core.",
)
@click.option(
    "--like",
    type=PathOption(dir_okay=False),
    default=None,
    help="For --fix, if it has moved: the file that generate's --like named.",
)
@click.option(
    "--alignment",
    type=PathOption(dir_okay=False),
    default=None,
    help="For --fix, if it has moved: the file that generate's --alignment named.",
)
@asset_options
def verify(
    dataset: Path | str,
    fix: bool,
    workers: int | Literal["auto"],
    like: Path | None,
    alignment: Path | None,
    pretrained_dir: Path | None,
    model_dir: Path | None,
) -> None:
    """Prove a dataset whole, a folder or shards.

    Every file is there, decodes, has its label's size and type, is the file that was written
    (SHA-256), and agrees with the others: regions and depth with the keypoints and the camera.
    Prints what is wrong, by the number of the sample.
    """
    for option, path in (("like", like), ("alignment", alignment)):
        if path is not None and not fix:
            raise OneLine(f"--{option} names the file that --fix draws with; give --fix as well")
    from synthforge.dataset.target import open_target, read_card

    card = read_card(open_target(dataset))
    drawn_by = GENERATORS.get(card["recipe"].get("generator"))
    if not fix or drawn_by is None or drawn_by.one_thread:
        one_thread()
    from synthforge.dataset.verify.verify import verify

    started()
    threads = usable_cores() if workers == "auto" else workers
    report = verify(dataset, threads, _bar)
    _tell(report, dataset)
    if not fix and not report.is_whole:
        if report.damaged:
            where = click.format_filename(dataset)
            click.echo(f"Draw them again: synthforge verify {where} --fix")
        raise SystemExit(1)
    if not fix or report.is_whole:
        return
    from synthforge.repair import Repair

    assets = AssetPaths(pretrained_dir, model_dir)
    repair = Repair.of(dataset, assets, workers, _say, like, alignment)
    others = repair.draw(report.damaged)
    if others:
        were, they_are = ("was", "it is") if len(others) == 1 else ("were", "they are")
        _say(
            f"{counted(len(others), 'sample')} {were} first drawn on another kind of machine: "
            f"{they_are} whole, with other bytes than before"
        )
    report = verify(dataset, threads, _bar)
    _tell(report, dataset)
    if not report.is_whole:
        raise SystemExit(1)


def _bar(checks: Iterable[Checked], count: int) -> Iterator[Checked]:
    from tqdm import tqdm

    yield from tqdm(checks, total=count, unit="sample", desc="Verifying", smoothing=0.1)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _tell(report: Report, dataset: Path | str) -> None:
    for problem in report.in_order():
        click.echo(str(problem))
    for note in report.notes:
        click.echo(f"Note: {note}.")
    where = click.format_filename(dataset)
    samples = counted(report.whole, "sample")
    if report.planned is not None:
        samples = f"{report.whole} of {counted(report.planned, 'planned sample')}"
    given_up = f", {report.given_up} given up by the quality gate" if report.given_up else ""
    verb = "is" if report.whole == 1 else "are"
    click.echo(f"{where}: {samples} {verb} whole{given_up}.")
    if report.problems:
        damaged = sum(map(len, report.damaged))
        problems = counted(len(report.problems), "problem")
        click.echo(f"{problems}; {counted(damaged, 'sample')} to draw again.")
