"""Bakes the panoramas of the renderer from the npm package @pmndrs/assets (CC0, by Poly Haven).

    npm pack @pmndrs/assets@1.7.0
    python tools/bake_panoramas.py pmndrs-assets-1.7.0.tgz

needs the extra `[bake]`, which brings OpenEXR. Writes synthforge/mannequin/render/panoramas.npz.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import OpenEXR
from numpy.typing import NDArray

VERSION = 2
PACKAGE = "@pmndrs/assets 1.7.0"
SHA256 = "152bd218a3390703f184f0c6ce16e73c8f0a87f32d38530d418a09d33d8208dc"
TARGET = Path(__file__).parents[1] / "synthforge/mannequin/render/panoramas.npz"

_MEMBER = re.compile(r"package/hdri/(\w+)\.exr\.js")
_HEIGHT = 256
# The strongest light of a panorama lies within this angle of its middle.
_KEY_RADIUS_RAD = np.deg2rad(16)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Key:
    """The strongest light of a panorama.

    direction: [3], unit, towards it. irradiance: [3] linear RGB that it brings to a surface facing
    it. spread_rad: root mean square angle of its light to its middle.
    """

    direction: Array
    irradiance: Array
    spread_rad: float


@click.command()
@click.argument("tarball", type=click.Path(exists=True, path_type=Path))
def bake(tarball: Path) -> None:
    """Bake panoramas.npz from the package's TARBALL."""
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if digest != SHA256:
        raise click.ClickException(f"{tarball} has sha256 {digest}, expected {SHA256}")
    images = _read(tarball)
    maps, keys = zip(*(_split(_scaled(image)) for image in images.values()), strict=True)
    np.savez_compressed(
        TARGET,
        rgbe=_to_rgbe(np.stack(maps)),
        names=np.array(list(images)),
        key_direction=np.stack([key.direction for key in keys]).astype(np.float32),
        key_irradiance=np.stack([key.irradiance for key in keys]).astype(np.float32),
        key_spread_rad=np.array([key.spread_rad for key in keys], np.float32),
        provenance=np.array(
            json.dumps(
                {
                    "source": PACKAGE,
                    "sha256": SHA256,
                    "licence": "CC0-1.0",
                    "photographs": "Poly Haven",
                    "script": f"tools/bake_panoramas.py {VERSION}",
                }
            )
        ),
    )
    click.echo(f"{TARGET}: {len(images)} panoramas, {TARGET.stat().st_size / 1e6:.1f} MB")


def _read(tarball: Path) -> dict[str, Array]:
    """Name -> linear RGB [H, W, 3], in the order of their names."""
    images = {}
    with tarfile.open(tarball) as archive, tempfile.TemporaryDirectory() as folder:
        for member in sorted(archive.getmembers(), key=lambda entry: entry.name):
            match = _MEMBER.fullmatch(member.name)
            source = archive.extractfile(member) if match else None
            if match is None or source is None:
                continue
            _, _, encoded = source.read().decode().partition("base64,")
            path = Path(folder) / f"{match[1]}.exr"
            path.write_bytes(base64.b64decode(encoded.rstrip("'\";\n ")))
            with OpenEXR.File(str(path)) as file:
                pixels = file.channels()["RGB"].pixels.astype(np.float64)
            images[match[1]] = _repaired(pixels)
    return images


def _repaired(image: Array) -> Array:
    """Undo two marks of the package's compression: values below 0, and suns that are pure blue."""
    image = image.clip(0)
    brightest = image.max(2, keepdims=True)
    lost = (brightest > 100) & (image.min(2, keepdims=True) < 0.1 * brightest)
    return np.where(lost, brightest, image)


def _scaled(image: Array) -> Array:
    """Area-averaged to _HEIGHT rows, and to a mean radiance of 1 over the sphere."""
    step = image.shape[0] // _HEIGHT
    small = image.reshape(_HEIGHT, step, -1, step, 3).mean((1, 3))
    weight = _solid_angles(small)
    return small / ((small.mean(2) * weight).sum() / weight.sum())


def _solid_angles(image: Array) -> Array:
    """[H, W] steradians of each pixel."""
    height, width = image.shape[:2]
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    row = np.cos(elevation) * (np.pi / height) * (2 * np.pi / width)
    return np.repeat(row[:, None], width, 1)


def directions(height: int, width: int) -> Array:
    """[H, W, 3], unit, x right, y up: the middle column lies at -z, columns run to +x."""
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    azimuth = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    e, a = np.meshgrid(elevation, azimuth, indexing="ij")
    return np.stack([np.sin(a) * np.cos(e), np.sin(e), -np.cos(a) * np.cos(e)], -1)


def _split(image: Array) -> tuple[Array, Key]:
    """The panorama without its strongest light, and that light.

    Within _KEY_RADIUS_RAD of the light's middle radiance is capped at three times the median round
    it; what is cut off is the light.
    """
    weight, towards = _solid_angles(image), directions(*image.shape[:2])
    luminance = image.mean(2)
    energy = np.where(luminance > 3 * np.median(luminance), luminance, 0) * weight
    middle = towards.reshape(-1, 3)[_densest(energy, towards)]
    near = towards @ middle > np.cos(_KEY_RADIUS_RAD)
    cap = 3 * np.median(luminance[near])
    capped = image * np.minimum(1, cap / np.maximum(luminance, 1e-9))[..., None]
    rest = np.where(near[..., None], capped, image)
    cut = (image - rest) * weight[..., None]
    irradiance = cut.sum((0, 1))
    if irradiance.mean() < 1e-6:
        return image, Key(middle, np.zeros(3), float(_KEY_RADIUS_RAD))
    share = cut.mean(2) / cut.mean(2).sum()
    direction = (towards * share[..., None]).sum((0, 1))
    direction /= np.linalg.norm(direction)
    angle = np.arccos((towards @ direction).clip(-1, 1))
    return rest, Key(direction, irradiance, float(np.sqrt((share * angle**2).sum())))


def _densest(energy: Array, towards: Array) -> int:
    """Index of the direction with most energy within _KEY_RADIUS_RAD, of every eighth pixel."""
    height, width = energy.shape
    candidates = np.arange(height * width).reshape(height, width)[::8, ::8].ravel()
    flat = towards.reshape(-1, 3)
    near = np.cos(_KEY_RADIUS_RAD)
    found = [energy.ravel()[flat @ flat[index] > near].sum() for index in candidates]
    return int(candidates[np.argmax(found)])


def _to_rgbe(radiance: Array) -> NDArray[np.uint8]:
    """[..., 3] -> [..., 4], Ward's shared-exponent pixels (Graphics Gems II, 1991)."""
    largest = np.maximum(radiance.max(-1), 1e-9)
    exponent = np.floor(np.log2(largest)) + 1
    mantissa = np.floor(radiance * (256 / 2.0**exponent)[..., None]).clip(0, 255)
    return np.concatenate([mantissa, exponent[..., None] + 128], -1).astype(np.uint8)


if __name__ == "__main__":
    bake()
