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
import cv2
import numpy as np
import torch
from augmentation import augment
from crops import Array, Image, batches, centred, cut, middle, read_all, read_image, write_sheet
from label_adaptation import cross_adapted
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from training import FOLDER, best_device, read_net, save_net, train_net, training_options
from unet import UNet

from synthforge.landmarks import FLIP, JAW, OUTER_EYE_CORNERS

VIEW = 96  # pixels that the net reads
STORED = 160  # of a stored crop: what augmentation may turn and shift the view in
EXTENT = 2.0  # the view's side, in extents of the 51 inner points
INNER = slice(JAW.stop, 68)
WIDTHS, CELL = (24, 64, 96, 128), 4  # of the net; pixels of a heatmap's cell


def crop(image: Image, points: Array) -> tuple[Image, Array]:
    """The face as [160, 160, 3], and its points in that. The view lies in the middle."""
    low, high = points[INNER].min(0), points[INNER].max(0)
    matrix = centred(*((low + high) / 2), VIEW / (EXTENT * (high - low).max()), STORED)
    return cut(image, matrix, STORED), points @ matrix[:, :2].T + matrix[:, 2]


def read_dataset(folder: Path, count: int | None) -> tuple[Image, Array]:
    """Crops [N, 160, 160, 3] and points [N, 68, 2] of a dataset's first `count` samples."""

    def read(file: Path) -> tuple[Image, Array]:
        points = np.array(json.loads(file.read_text())["2d_kps"])
        return crop(read_image(folder / "images", file.stem), points)

    crops, points = read_all(folder, sorted((folder / "annotations").glob("*.json"))[:count], read)
    return crops, points


def read_photos(folder: Path) -> tuple[Image, Array]:
    """Crops and points, as of `read_dataset`, of images with a .pts file beside them."""

    def read(file: Path) -> tuple[Image, Array]:
        try:
            numbers = file.read_text().split("{")[-1].split("}")[0].split()
            points = np.array(numbers, float).reshape(68, 2) - 0.5  # 300-W counts pixels from 1
        except ValueError as error:
            raise click.UsageError(f"{file}: expected 68 points in {{ }}: {error}") from None
        return crop(read_image(file.parent, file.stem), points)

    crops, points = read_all(folder, sorted(folder.rglob("*.pts")), read)
    return crops, points


def random_sample(
    crops: Image, points: Array, draws: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An augmented view [96, 96, 3] and its points [68, 2]."""
    i, other = draws.integers(len(crops), size=2)
    view, matrix, is_mirrored = augment(crops[i], crops[other], VIEW, draws)
    seen = points[i][list(FLIP)] if is_mirrored else points[i]
    return view, (seen @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def points_of(heatmaps: Tensor) -> Tensor:
    """The mean place of each heatmap, pixels of the view: [B, 68, H, W] -> [B, 68, 2]."""
    weights = heatmaps.flatten(2).softmax(-1).view_as(heatmaps)
    places = (torch.arange(heatmaps.shape[-1], device=heatmaps.device) + 0.5) * CELL
    return torch.stack([weights.sum(2) @ places, weights.sum(3) @ places], -1)


def loss_of(heatmaps: Tensor, points: Tensor) -> Tensor:
    """Distance of the points in outer-eye distances, and a peaked heatmap; of points inside."""
    inside = ((points > 0) & (points < VIEW)).all(-1)
    right, left = (points[:, i] for i in OUTER_EYE_CORNERS)
    size = (right - left).norm(dim=-1).clamp_min(8)[:, None, None]
    off = 20 * (points_of(heatmaps) - points) / size
    places = (torch.arange(heatmaps.shape[-1], device=points.device) + 0.5) * CELL
    x, y = (torch.exp(-((places - points[..., i : i + 1]) ** 2) / 72) for i in (0, 1))
    x, y = (F.normalize(weights, p=1.0, dim=-1) for weights in (x, y))
    expected = (heatmaps * x[..., None, :]).sum(-1).mul(y).sum(-1)
    spread = heatmaps.flatten(2).logsumexp(-1) - expected  # cross-entropy with a Gaussian
    each = F.smooth_l1_loss(off, torch.zeros_like(off), reduction="none").sum(-1) + 0.1 * spread
    return (each * inside).sum() / inside.sum().clamp_min(1)


@torch.inference_mode()
def predict(net: nn.Module, crops: Image) -> Array:
    """Points [N, 68, 2] in the crops: the mean of what net says of each and of its mirror image."""
    found = []
    for views in batches(middle(crops, VIEW), next(net.parameters()).device):
        points, mirrored = points_of(net(views)), points_of(net(views.flip(3)))
        mirrored = mirrored * mirrored.new_tensor([-1, 1]) + mirrored.new_tensor([VIEW, 0])
        found.append((points + mirrored[:, list(FLIP)]) / 2 + (STORED - VIEW) / 2)
    return torch.cat(found).cpu().numpy().astype(float)


def nme(found: Array, true: Array) -> Array:
    """Distance of each point, [N, 68], in % of the face's outer-eye distance."""
    right, left = (true[:, i] for i in OUTER_EYE_CORNERS)
    size = np.linalg.norm(right - left, axis=-1)[:, None]
    return 100 * np.linalg.norm(found - true, axis=-1) / size


def write_faces(path: Path, crops: Image, found: Array, true: Array) -> None:
    """Up to 32 faces, from worst to best, with labels in green and predictions in pink."""
    order = nme(found, true)[:, INNER].mean(1).argsort()[::-1]
    tiles = []
    for i in order[np.linspace(0, len(order) - 1, min(len(order), 32)).round().astype(int)]:
        tile = cv2.resize(crops[i], (2 * STORED, 2 * STORED), interpolation=cv2.INTER_CUBIC)
        for points, color in ((true[i], (0, 255, 0)), (found[i], (255, 60, 200))):
            for x, y in points:
                cv2.circle(tile, (round(2 * x), round(2 * y)), 2, color, -1, cv2.LINE_AA)
        tiles.append(tile)
    write_sheet(path, tiles, min(len(tiles), 8))


@click.group()
def main() -> None:
    """Train a landmark net on synthetic faces, evaluate it on photographs."""


@main.command()
@training_options
def train(dataset: Path, out: Path, samples: int | None, seed: int, **options: int) -> None:
    """Train on DATASET, a tenth of which is kept to validate with."""
    crops, points = read_dataset(dataset, samples)
    held = max(len(crops) // 10, 1)
    val_crops, val_points, crops, points = crops[:held], points[:held], crops[held:], points[held:]
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
    weights, facts = read_net(trained)
    net = UNet(68, WIDTHS, CELL).to(best_device()).eval()
    net.load_state_dict(weights)
    crops, true = read_photos(photos)
    found = predict(net, crops)
    rows = {"mean shape": np.broadcast_to(facts["mean_shape"], true.shape), "the net": found}
    rows["with label adaptation"] = cross_adapted(found, true, STORED)
    click.echo(f"{len(true)} faces; % of the outer-eye distance")
    click.echo(f"{'':24}{'51 inner':>9}{'median':>9}{'all 68':>9}{'> 8 %':>9}")
    for name, points in rows.items():
        error = nme(points, true)
        inner = error[:, INNER].mean(1)
        numbers = inner.mean(), np.median(inner), error.mean()
        wrong = f"{100 * (inner > 8).mean():8.1f}%"
        click.echo(f"{name:24}" + "".join(f"{number:9.2f}" for number in numbers) + wrong)
    write_faces(trained / "photos.png", crops, found, true)
    click.echo(f"Worst and best: {trained / 'photos.png'} (green: labels, pink: the net)")


if __name__ == "__main__":
    main()
