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
from class_ids import IGNORE, class_names, cut_ids, f1_scores, in_color, mirrored_ids
from crops import Image, batches, centred, cut, middle, read_all, read_image, write_sheet
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from training import FOLDER, held_out, load_net, net_facts, save_net, train_net, training_options

from synthforge.detectors.face_mesh import face_mesh
from synthforge.detectors.unet import UNet

VIEW = 128  # pixels that the net reads
STORED = 208  # of a stored crop: what augmentation may turn and shift the view in
EXTENT = 1.8  # the view's side, in extents of the detected face mesh: hair and ears are in it
WIDTHS, STRIDE = (32, 64, 96, 128, 128), 2


def crop(image: Image, ids: Image) -> tuple[Image, Image]:
    """The detected face as [208, 208, 3], and its class ids. Without one, the whole image."""
    height, width = ids.shape
    x, y, extent = width / 2, height / 2, max(height, width) / EXTENT
    if (mesh := face_mesh(image)) is not None:
        low, high = mesh.points_px.min(0), mesh.points_px.max(0)
        (x, y), extent = (low + high) / 2, (high - low).max()
    matrix = centred(x, y, VIEW / (EXTENT * extent), STORED)
    return cut(image, matrix, STORED), cut_ids(ids, matrix, STORED)


def read_folder(root: Path, folder: str, count: int | None) -> list[Image]:
    """Crops [N, 208, 208, 3] and class ids [N, 208, 208] of root/images and root/`folder`."""

    def read(file: Path) -> tuple[Image, Image]:
        image, ids = read_image(root / "images", file.stem), cv2.imread(str(file), -1)
        if ids is None or ids.shape != image.shape[:2]:
            raise click.UsageError(f"{file}: expected one channel, of its image's size")
        return crop(image, ids)

    return read_all(root, sorted((root / folder).glob("*.png"))[:count], read)


def random_sample(
    crops: Image, ids: Image, mirror: Image, draws: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """An augmented view [128, 128, 3], and the class ids [64, 64] that the net is to answer."""
    i = draws.integers(len(crops))
    view, matrix, is_mirrored = augment(crops[i], None, VIEW, draws)
    seen = cut_ids(ids[i], matrix / STRIDE, VIEW // STRIDE)
    return view, (mirror[seen] if is_mirrored else seen).astype(np.int64)


def loss_of(logits: Tensor, ids: Tensor) -> Tensor:
    """Cross-entropy, and the Dice loss: 1 - mean F1, in which an eye counts as much as the skin."""
    known = (ids != IGNORE)[:, None]
    found = logits.softmax(1) * known
    true = F.one_hot(ids * known[:, 0], logits.shape[1]).permute(0, 3, 1, 2) * known
    dice = 1 - (2 * (found * true).sum((0, 2, 3)) / (found + true).sum((0, 2, 3))).mean()
    return F.cross_entropy(logits, ids, ignore_index=IGNORE) + dice


@torch.inference_mode()
def predict(net: nn.Module, crops: Image) -> Image:
    """Class ids [N, 128, 128] of the middle of each crop."""
    views = batches(middle(crops, VIEW), next(net.parameters()).device)
    logits = [F.interpolate(net(part), scale_factor=STRIDE, mode="bilinear") for part in views]
    return torch.cat([part.argmax(1).byte().cpu() for part in logits]).numpy()


def write_faces(path: Path, crops: Image, found: Image, true: Image) -> None:
    """Up to 20 faces, each as image, labels, what the net says."""
    parts = zip(middle(crops, VIEW)[:20], in_color(true[:20]), in_color(found[:20]), strict=True)
    write_sheet(path, [np.hstack(part) for part in parts], 2)


def scores_by_class(names: list[str], scores: NDArray[np.float64]) -> str:
    rows = [*zip(names, scores, strict=True), ("mean, no background", np.nanmean(scores[1:]))]
    return "\n".join(f"{name:24}{score:7.1f}" for name, score in rows)


@click.group()
def main() -> None:
    """Train a face-parsing net on synthetic faces, evaluate it on photographs."""


@main.command()
@training_options(steps=2400, batch_size=16)
@click.option("--labels", default="parsing_lapa", show_default=True, help="Folder of the dataset.")
def train(
    dataset: Path, labels: str, out: Path, samples: int | None, seed: int, **options: int
) -> None:
    """Train on DATASET, a tenth of which is kept to validate with."""
    names = class_names(dataset, labels)
    mirror = mirrored_ids(names)
    (val_crops, val_ids), (crops, ids) = held_out(read_folder(dataset, labels, samples))
    val_ids = middle(val_ids, VIEW)

    def scores(net: nn.Module) -> NDArray[np.float64]:
        return f1_scores(predict(net, val_crops), val_ids, len(names))

    torch.manual_seed(seed)
    net = UNet(len(names), WIDTHS, STRIDE)
    train_net(
        net,
        lambda draws: random_sample(crops, ids, mirror, draws),
        loss_of,
        lambda net: float(np.nanmean(scores(net)[1:])),
        out,
        validated="mean F1 without background",
        seed=seed,
        **options,
    )
    save_net(out, net, {"classes": names})
    write_faces(out / "validation.png", val_crops, predict(net, val_crops), val_ids)
    click.echo(scores_by_class(names, scores(net)))
    click.echo(f"F1 in % of {len(val_crops)} held-out samples. Wrote {out}")


@main.command()
@click.argument("trained", type=FOLDER)
@click.argument("photos", type=FOLDER)
def evaluate(trained: Path, photos: Path) -> None:
    """Measure the net in TRAINED on PHOTOS: images/ and labels/, as LaPa has them."""
    names = net_facts(trained)["classes"]
    net = load_net(trained, UNet(len(names), WIDTHS, STRIDE))
    crops, ids = read_folder(photos, "labels", None)
    found, ids = predict(net, crops), middle(ids, VIEW)
    click.echo(scores_by_class(names, f1_scores(found, ids, len(names))))
    write_faces(trained / "photos.png", crops, found, ids)
    click.echo(f"Image, labels, the net: {trained / 'photos.png'}")


if __name__ == "__main__":
    main()
