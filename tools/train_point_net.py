"""Trains the net that places the built-in head's points for `synthforge fit`.

    python generate_synthforge_data.py --output_dir faces --num_images 6600 --seed 21
    python tools/train_point_net.py faces --out training

Writes synthforge/photofit/point_net.safetensors, and curves to `training`. The last 900 samples are
held out, for tools/measure_point_errors.py as well. Takes about an hour of two cores. Run it again
when the head or its pictures have changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples"), str(ROOT / "tools")]

from augmentation import as_photographed  # noqa: E402
from crops import for_opencv  # noqa: E402
from measured_faces import measured_faces  # noqa: E402
from training import train_net  # noqa: E402

from synthforge.detectors.face_mesh import POINTS, view_of  # noqa: E402
from synthforge.photofit.point_net import (  # noqa: E402
    CELL,
    FILE,
    MARGIN,
    OUTPUTS,
    VIEW,
    find_points,
    flip,
    untrained,
    write_net,
)

OUT = ROOT / "synthforge/photofit" / FILE
STORED = 320  # pixels of a stored crop
FINER = 1.6  # its pixels in one of the view
SOME = 66  # mesh points that count in a step; the 70 always do
# How the view strays from the one that the mesh gives: radians, log of scale, view sides.
TURN, SCALE, SHIFT = 0.1, 0.07, 0.03
FEWER = 12  # of the held out, one in so many validates
PUPILS, PUPIL = slice(68, 70), 3.0  # of ibug70, and what one counts for
UNIT = 2.8  # pixels of the view, about 5 % of the outer-eye distance
SPREAD = 5.0  # pixels, of the Gaussian that a heatmap should be


class SomeOutputs(nn.Conv2d):
    """The last convolution, which in training computes `some` of its outputs, others each step."""

    some: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        landmarks = torch.arange(POINTS, self.out_channels)
        self.some = torch.cat([landmarks, torch.randperm(POINTS)[:SOME]])
        return F.conv2d(x, self.weight[self.some], self.bias[self.some])


@click.command()
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder.")
@click.option("--steps", type=click.IntRange(1), default=10000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(dataset: Path, out: Path, steps: int, seed: int) -> None:
    """Train on DATASET, default samples of the built-in head."""
    crops, points = cut_faces(dataset, STORED, MARGIN * STORED / (VIEW * FINER), held_out=False)
    held = cut_faces(dataset, VIEW, MARGIN, held_out=True)
    views, true = (column[::FEWER] for column in held)
    torch.manual_seed(seed)
    net, mirrored = untrained(), flip()
    net.out[-1] = last = SomeOutputs(net.out[-1].in_channels, OUTPUTS, 1)
    error = train_net(
        net,
        lambda draws: random_sample(crops, points, mirrored.numpy(), draws),
        lambda heatmaps, points: loss_of(heatmaps, points[:, last.some]),
        lambda net: 100 * np.linalg.norm(find_points(net, views) - true, axis=-1).mean() / VIEW,
        out,
        validated="distance of points, of the view",
        steps=steps,
        batch_size=32,
        seed=seed,
    )
    facts = {"samples": len(crops), "steps": steps, "seed": seed, "held_out_percent": error}
    write_net(OUT, net, facts)
    click.echo(f"{len(crops)} faces; on {len(views)} others {error:.2f} % of the view. Wrote {OUT}")


def cut_faces(
    dataset: Path, size: int, margin: float, *, held_out: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Upright views [N, size, size, 3] of faces with a margin round their meshes, and the points
    [N, 538, 2] in them."""
    crops, points = [], []
    for face in measured_faces(dataset, held_out):
        square = view_of(face.mesh_px, margin)
        crops.append(square.cut_averaged(face.image, size))
        points.append(square.into(face.points_px, size))
    return np.stack(crops), np.stack(points).astype(np.float32)


def random_sample(
    crops: NDArray[np.uint8],
    points: NDArray[np.float32],
    mirrored: NDArray[np.int64],
    draws: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A view [128, 128, 3] in 0..1 as a photograph might show it, and its points [538, 2]."""
    i, other = draws.integers(len(crops), size=2)
    angle, scale = draws.normal(0, TURN), np.exp(draws.normal(0, SCALE)) / FINER
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    seen = points[i]
    if draws.random() < 0.5:
        turn, seen = turn * [-1, 1], seen[mirrored]
    offset = VIEW / 2 + draws.normal(0, SHIFT * VIEW, 2) - turn @ [STORED / 2, STORED / 2]
    matrix = np.column_stack([turn, offset])
    view = cv2.warpAffine(crops[i], for_opencv(matrix), (VIEW, VIEW))
    return as_photographed(view, crops[other], draws), (seen @ turn.T + offset).astype(np.float32)


def loss_of(heatmaps: Tensor, points: Tensor) -> Tensor:
    """How far points [B, N, 2], ibug70 first, are off, and heatmaps from Gaussians there."""
    inside = ((points > 0) & (points < VIEW)).all(-1)
    logs = heatmaps.flatten(2).log_softmax(-1).view_as(heatmaps)
    weights = logs.exp()
    places = (torch.arange(heatmaps.shape[-1]) + 0.5) * CELL
    found = torch.stack([weights.sum(2) @ places, weights.sum(3) @ places], -1)
    off = F.smooth_l1_loss(found / UNIT, points / UNIT, reduction="none", beta=0.5).sum(-1)
    x, y = (torch.exp(-(((places - points[..., i : i + 1]) / SPREAD) ** 2) / 2) for i in (0, 1))
    x, y = (F.normalize(weights, p=1.0, dim=-1) for weights in (x, y))
    crossed = -((logs @ x[..., None])[..., 0] * y).sum(-1)
    counts = inside.float()
    counts[:, PUPILS] *= PUPIL
    return ((off + 0.1 * crossed) * counts).sum() / counts.sum().clamp_min(1)


if __name__ == "__main__":
    main()
