"""Trains a small landmark net on a SynthForge dataset and measures it on photographs.

    python generate_synthforge_data.py --output_dir faces --num_images 2000
    python examples/train_landmarks.py train faces --out landmarks
    python examples/train_landmarks.py evaluate landmarks photos

`photos` is a folder of images with .pts files beside them, as 300-W has. See docs/training.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import torch
from augmentation import augment
from crops import Array, Image, batches, centred, cut, middle, read_all, read_image
from heatmaps import CELL, loss_of, points_of
from label_adaptation import cross_adapted
from numpy.typing import NDArray
from points import INNER, error_table, nme, read_pts, write_faces
from torch import nn
from training import FOLDER, held_out, load_net, net_facts, save_net, train_net, training_options

from synthforge.detectors.unet import UNet
from synthforge.landmarks import FLIP

VIEW = 96  # pixels that the net reads
STORED = 160  # of a stored crop: what augmentation may turn and shift the view in
EXTENT = 2.0  # the view's side, in extents of the 51 inner points
WIDTHS = (24, 64, 96, 128)


def crop(image: Image, points: Array) -> tuple[Image, Array]:
    """The face as [160, 160, 3], and its points in that. The view lies in the middle."""
    low, high = points[INNER].min(0), points[INNER].max(0)
    matrix = centred(*((low + high) / 2), VIEW / (EXTENT * (high - low).max()), STORED)
    return cut(image, matrix, STORED), points @ matrix[:, :2].T + matrix[:, 2]


def read_dataset(folder: Path, count: int | None) -> list[NDArray]:
    """Crops [N, 160, 160, 3] and points [N, 68, 2] of a dataset's first `count` samples."""

    def read(file: Path) -> tuple[Image, Array]:
        points = np.array(json.loads(file.read_text())["2d_kps"])
        return crop(read_image(folder / "images", file.stem), points)

    return read_all(folder, sorted((folder / "annotations").glob("*.json"))[:count], read)


def read_photos(folder: Path) -> list[NDArray]:
    """Crops and points, as of `read_dataset`, of images with a .pts file beside them."""

    def read(file: Path) -> tuple[Image, Array]:
        return crop(read_image(file.parent, file.stem), read_pts(file))

    return read_all(folder, sorted(folder.rglob("*.pts")), read)


def random_sample(
    crops: Image, points: Array, draws: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An augmented view [96, 96, 3] and its points [68, 2]."""
    i, other = draws.integers(len(crops), size=2)
    view, matrix, is_mirrored = augment(crops[i], crops[other], VIEW, draws)
    seen = points[i][list(FLIP)] if is_mirrored else points[i]
    return view, (seen @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


@torch.inference_mode()
def predict(net: nn.Module, crops: Image) -> Array:
    """Points [N, 68, 2] in the crops: the mean of what net says of each and of its mirror image."""
    found = []
    for views in batches(middle(crops, VIEW), next(net.parameters()).device):
        points, mirrored = points_of(net(views)), points_of(net(views.flip(3)))
        mirrored = mirrored * mirrored.new_tensor([-1, 1]) + mirrored.new_tensor([VIEW, 0])
        found.append((points + mirrored[:, list(FLIP)]) / 2 + (STORED - VIEW) / 2)
    return torch.cat(found).cpu().numpy().astype(float)


@click.group()
def main() -> None:
    """Train a landmark net on synthetic faces, evaluate it on photographs."""


@main.command()
@training_options(steps=3000, batch_size=48)
def train(dataset: Path, out: Path, samples: int | None, seed: int, **options: int) -> None:
    """Train on DATASET, a tenth of which is kept to validate with."""
    (val_crops, val_points), (crops, points) = held_out(read_dataset(dataset, samples))
    torch.manual_seed(seed)
    net = UNet(68, WIDTHS, CELL)
    error = train_net(
        net,
        lambda draws: random_sample(crops, points, draws),
        loss_of,
        lambda net: nme(predict(net, val_crops), val_points)[:, INNER].mean(),
        out,
        validated="error of the 51 inner points",
        seed=seed,
        **options,
    )
    save_net(out, net, {"mean_shape": points.mean(0).tolist()})
    write_faces(out / "validation.png", val_crops, predict(net, val_crops), val_points)
    click.echo(f"{len(crops)} samples; validation error {error:.2f} %. Wrote {out}")


@main.command()
@click.argument("trained", type=FOLDER)
@click.argument("photos", type=FOLDER)
def evaluate(trained: Path, photos: Path) -> None:
    """Measure the net in TRAINED on PHOTOS: images with .pts files."""
    mean_shape = net_facts(trained)["mean_shape"]
    net = load_net(trained, UNet(68, WIDTHS, CELL))
    crops, true = read_photos(photos)
    found = predict(net, crops)
    rows = {
        "mean shape": np.broadcast_to(mean_shape, true.shape),
        "the net": found,
        "with label adaptation": cross_adapted(found, true, STORED),
    }
    click.echo(f"{len(true)} faces; % of the outer-eye distance\n{error_table(rows, true)}")
    write_faces(trained / "photos.png", crops, found, true)
    click.echo(f"Worst and best: {trained / 'photos.png'} (green: labels, pink: the net)")


if __name__ == "__main__":
    main()
