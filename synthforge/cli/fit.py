"""`synthforge fit`: heads recovered from photographs."""

from __future__ import annotations

from pathlib import Path

import click

from synthforge.cli.launch import started
from synthforge.cli.options import Command, OneLine, PathOption, asset_options, check_new_file
from synthforge.config import AssetPaths, PartsConfig
from synthforge.cpus import one_thread
from synthforge.dataset.folder import counted
from synthforge.errors import ConfigError
from synthforge.generators.known import CHOICES

_EPILOG = """\b
Example:
  synthforge fit photographs --output like.npz
  generate_synthforge_data.py --output_dir faces --num_images 1000 --like like.npz
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("photographs", metavar="PHOTOS", type=PathOption())
@click.option("--output", type=PathOption(dir_okay=False), required=True, help="New .npz to write.")
@click.option(
    "--generator",
    type=click.Choice(CHOICES),
    default=PartsConfig.generator,
    help="Whose head: FLAME for next3d, the built-in head for mannequin; auto as in generate.",
)
@asset_options
def fit(
    photographs: Path,
    output: Path,
    generator: str,
    pretrained_dir: Path | None,
    model_dir: Path | None,
) -> None:
    """Recover the heads in a folder of photographs, for generate's --like.

    Of each face that is found: pose, gaze, expression and shape, and for the built-in head its
    place in the frame. Beside the file comes a sheet of overlays, to look at.
    """
    if output.suffix != ".npz":
        raise OneLine(f"{output} should end in .npz")
    check_new_file(output)
    one_thread()
    import numpy as np
    from tqdm import tqdm

    from synthforge.dataset.png import encode_png
    from synthforge.like import write_like
    from synthforge.photofit.overlays import overlay_sheet
    from synthforge.photofit.photographs import SUFFIXES, find_faces, photographs_in
    from synthforge.photofit.run import fit_photographs, pick_head
    from synthforge.whole_files import write_whole

    started()
    parts = PartsConfig(generator=generator, assets=AssetPaths(pretrained_dir, model_dir))
    paths = photographs_in(photographs)
    head, title = pick_head(parts)
    click.echo(f"Head: {title}", err=True)
    others = sum(path.is_file() for path in {*photographs.iterdir()}.difference(paths))
    if others:
        files = f"{counted(others, 'file')} that {'is' if others == 1 else 'are'}"
        click.echo(f"Passed over: {files} no {', '.join(SUFFIXES)}", err=True)
    looked = list(tqdm(find_faces(paths), total=len(paths), unit="photo", desc="Looking"))
    faces = [face for found in looked for face in found or ()]
    for path, found in zip(paths, looked, strict=True):
        if not found:
            why = "No face" if found is not None else "Cannot be read"
            click.echo(f"{why}: {click.format_filename(path.name)}", err=True)
    if not faces:
        raise ConfigError(f"no face was found in {photographs}; give photographs that show one")
    fitted = fit_photographs(faces, head)
    sheet = output.with_suffix(".png")
    drawn = overlay_sheet(faces, fitted.found_px, fitted.recovered_px, fitted.gaze_px)
    write_whole(sheet, encode_png(drawn))
    write_like(output, fitted.arrays, [face.name for face in faces])
    off, share = fitted.arrays["residual_px"], fitted.arrays["residual"]
    click.echo(
        f"{counted(len(faces), 'face')} in {counted(len(paths), 'photograph')}; "
        f"points off by {np.median(off):.2f} px in "
        f"the median, {100 * np.median(share):.1f} % of the outer-eye distance"
    )
    click.echo(f"Overlays: {click.format_filename(sheet)}")
    click.echo(f"Recovered: {click.format_filename(output)}")
    click.echo(f"Draw like them: generate_synthforge_data.py ... --like {output}")
