"""Takes the two nets of the built-in landmark detector out of MediaPipe's wheel (Apache-2.0).

    pip download mediapipe==0.10.21 --no-deps --python-version 3.11 --only-binary=:all:
    python tools/take_mediapipe_models.py mediapipe-0.10.21-*.whl

Writes synthforge/detectors/*.tflite. The wheels 0.10.14 and 0.10.21 hold the same two files; later
ones hold none.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import click

TARGET = Path(__file__).parents[1] / "synthforge/detectors"
# Member of the wheel -> its sha256.
MODELS = {
    "mediapipe/modules/face_detection/face_detection_short_range.tflite": (
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
    ),
    "mediapipe/modules/face_landmark/face_landmark.tflite": (
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
    ),
}


@click.command()
@click.argument("wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def take(wheel: Path) -> None:
    """Copy the two nets out of MediaPipe's WHEEL."""
    contents = {}
    with zipfile.ZipFile(wheel) as archive:
        for member, sha256 in MODELS.items():
            try:
                contents[member] = archive.read(member)
            except KeyError as error:
                raise click.ClickException(
                    f"{wheel} holds no {member}; take mediapipe 0.10.14 or 0.10.21"
                ) from error
            digest = hashlib.sha256(contents[member]).hexdigest()
            if digest != sha256:
                raise click.ClickException(f"{member} has sha256 {digest}, expected {sha256}")
    for member, content in contents.items():
        path = TARGET / Path(member).name
        path.write_bytes(content)
        click.echo(f"{path}: {len(content)} bytes")


if __name__ == "__main__":
    take()
