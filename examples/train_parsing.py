"""Trains a small face-parsing net on a SynthForge dataset and measures it on photographs.

    python generate_synthforge_data.py --output_dir faces --num_images 2000 --extras parsing_lapa
    python examples/train_parsing.py train faces --labels parsing_lapa --out parsing
    python examples/train_parsing.py evaluate parsing photos

`photos` is a folder as LaPa has it: images/NAME.jpg and labels/NAME.png, whose pixels are class
ids. See docs/training.md.
"""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np
import torch
from augmentation import augment
from class_ids import IGNORE, class_names, cut_ids, mirrored_ids
from crops import Image, batches, centred, cut, middle, read_all, read_image, write_sheet
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from training import FOLDER, best_device, read_net, save_net, train_net, training_options
from unet import UNet

from synthforge.detectors.face_mesh import face_mesh

VIEW = 128  # pixels that the net reads
STORED = 208  # of a stored crop: what augmentation may turn and shift the view in
EXTENT = 2.2  # the view's side, in extents of the detected face mesh: hair and ears are in it
WIDTHS, STRIDE = (24, 48, 72, 96, 128), 2


def crop(image: Image, labels: Image) -> tuple[Image, Image]:
    """The detected face as [208, 208, 3], and its labels. Without one, the whole image."""
    height, width = labels.shape
    x, y, extent = width / 2, height / 2, max(height, width) / EXTENT
    if (mesh := face_mesh(image)) is not None:
        low, high = mesh.points_px.min(0), mesh.points_px.max(0)
        (x, y), extent = (low + high) / 2, (high - low).max()
    matrix = centred(x, y, VIEW / (EXTENT * extent), STORED)
    return cut(image, matrix, STORED), cut_ids(labels, matrix, STORED)


def read_folder(root: Path, folder: str, count: int | None) -> tuple[Image, Image]:
    """Crops [N, 208, 208, 3] and labels [N, 208, 208] of root/images and root/`folder`."""

    def read(file: Path) -> tuple[Image, Image]:
        image, labels = read_image(root / "images", file.stem), cv2.imread(str(file), -1)
        if labels is None or labels.shape != image.shape[:2]:
            raise click.UsageError(f"{file}: expected one channel, of its image's size")
        return crop(image, labels)

    crops, labels = read_all(root, sorted((root / folder).glob("*.png"))[:count], read)
    return crops, labels


def random_sample(
    crops: Image, labels: Image, mirror: Image, draws: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """An augmented view [128, 128, 3] and its labels [128, 128]."""
    i, other = draws.integers(len(crops), size=2)
    view, matrix, is_mirrored = augment(crops[i], crops[other], VIEW, draws)
    seen = cut_ids(labels[i], matrix, VIEW)
    return view, (mirror[seen] if is_mirrored else seen).astype(np.int64)


def logits_of(outputs: Tensor) -> Tensor:
    """The net's [B, classes, 64, 64] at full size."""
    return F.interpolate(outputs, scale_factor=float(STRIDE), mode="bilinear")


@torch.inference_mode()
def predict(net: nn.Module, crops: Image) -> Image:
    """Labels [N, 128, 128] of the middle of each crop."""
    views = batches(middle(crops, VIEW), next(net.parameters()).device)
    return torch.cat([logits_of(net(part)).argmax(1).byte().cpu() for part in views]).numpy()


def f1_scores(found: Image, labels: Image, classes: int) -> NDArray[np.float64]:
    """F1 of each class over all pixels, in %; NaN for a class that the labels lack. LaPa's."""
    true = middle(labels, VIEW)
    known = true != IGNORE
    scores = []
    for i in range(classes):
        said, is_there = (found == i) & known, true == i
        both = 2 * (said & is_there).sum() / max(said.sum() + is_there.sum(), 1)
        scores.append(100 * both if is_there.any() else np.nan)
    return np.array(scores)


def write_faces(path: Path, crops: Image, found: Image, labels: Image) -> None:
    """Up to 20 faces, each as image, labels, what the net says."""
    hues = np.arange(256) * 47 % 180
    colors = np.stack([hues, np.full(256, 150), np.full(256, 230)], -1).astype(np.uint8)
    colors = cv2.cvtColor(colors[None], cv2.COLOR_HSV2RGB)[0]
    colors[[0, IGNORE]] = [[40, 40, 40], [0, 0, 0]]
    parts = zip(middle(crops, VIEW), colors[middle(labels, VIEW)], colors[found], strict=True)
    write_sheet(path, [np.hstack(part) for part in parts][:20], 2)


def scores_by_class(names: list[str], scores: NDArray[np.float64]) -> str:
    rows = [*zip(names, scores, strict=True), ("mean, no background", np.nanmean(scores[1:]))]
    return "\n".join(f"{name:24}{score:7.1f}" for name, score in rows)


@click.group()
def main() -> None:
    """Train a face-parsing net on synthetic faces, evaluate it on photographs."""


@main.command()
@training_options
@click.option("--labels", default="parsing_lapa", show_default=True, help="Folder of the dataset.")
def train(
    dataset: Path, labels: str, out: Path, samples: int | None, seed: int, **options: int
) -> None:
    """Train on DATASET, a tenth of which is kept to validate with."""
    names = class_names(dataset, labels)
    mirror = mirrored_ids(names)
    crops, ids = read_folder(dataset, labels, samples)
    held = max(len(crops) // 10, 1)
    val_crops, val_ids, crops, ids = crops[:held], ids[:held], crops[held:], ids[held:]
    torch.manual_seed(seed)
    net = UNet(len(names), WIDTHS, STRIDE)

    def score(net: nn.Module) -> NDArray[np.float64]:
        return f1_scores(predict(net, val_crops), val_ids, len(names))

    f1 = train_net(
        net,
        lambda draws: random_sample(crops, ids, mirror, draws),
        lambda outputs, ids: F.cross_entropy(logits_of(outputs), ids, ignore_index=IGNORE),
        lambda net: float(np.nanmean(score(net)[1:])),
        out,
        validated="mean F1 without background",
        seed=seed,
        **options,
    )
    save_net(out, net, {"classes": names})
    write_faces(out / "validation.png", val_crops, predict(net, val_crops), val_ids)
    click.echo(scores_by_class(names, score(net)))
    click.echo(f"{len(crops)} samples; validation F1 {f1:.1f} %. Wrote {out}")


@main.command()
@click.argument("trained", type=FOLDER)
@click.argument("photos", type=FOLDER)
def evaluate(trained: Path, photos: Path) -> None:
    """Measure the net in TRAINED on PHOTOS: images/ and labels/, as LaPa has them."""
    weights, facts = read_net(trained)
    names = facts["classes"]
    net = UNet(len(names), WIDTHS, STRIDE).to(best_device()).eval()
    net.load_state_dict(weights)
    crops, labels = read_folder(photos, "labels", None)
    found = predict(net, crops)
    click.echo(scores_by_class(names, f1_scores(found, labels, len(names))))
    write_faces(trained / "photos.png", crops, found, labels)
    click.echo(f"Image, labels, the net: {trained / 'photos.png'}")


if __name__ == "__main__":
    main()
