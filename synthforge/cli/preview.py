"""`synthforge preview`: faces by sliders, on a page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from synthforge.cli.launch import started
from synthforge.cli.options import Command, PathOption, asset_options
from synthforge.cli.parts_options import device_option, generator_option
from synthforge.cli.threads import limit_threads
from synthforge.config import AssetPaths, PartsConfig
from synthforge.errors import ConfigError


@click.command(cls=Command)
@generator_option
@device_option
@click.option(
    "--output_dir",
    type=PathOption(file_okay=False),
    default="preview",
    help="Where the page's buttons save.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on. Whoever reaches it can draw, and save here.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="0: any that is free.")
@asset_options
def preview(
    pretrained_dir: Path | None,
    model_dir: Path | None,
    output_dir: Path,
    host: str,
    port: int,
    **options: str,
) -> None:
    """Choose a face by sliders, on a page of this machine.

    It shows the sample with its labels and the recipe that draws it. Ctrl-C ends it.
    """
    if importlib.util.find_spec("viser") is None:
        raise ConfigError("the preview needs viser; run pip install 'synthforge[preview]'")
    parts = PartsConfig(
        generator=options["generator"],
        device=options["device"],
        detector="none",
        assets=AssetPaths(pretrained_dir, model_dir),
    )
    limit_threads(parts)
    from synthforge.assembly import build_rig
    from synthforge.preview.drawing import Drawing
    from synthforge.preview.page import LocalServer, Page

    started()
    drawing = Drawing(build_rig(parts, lambda line: click.echo(line, err=True)))
    server = LocalServer.listening(host, port)
    page = Page(server, drawing, output_dir)
    named = f"[{host}]" if ":" in host else host
    try:
        click.echo(f"Preview: http://{named}:{server.get_port()}  (Ctrl-C ends it)")
        page.worker.wait()
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    finally:
        page.worker.close()
        server.stop()
