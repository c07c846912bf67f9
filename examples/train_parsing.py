"""Trains a small face-parsing net on a SynthForge dataset and measures it on photographs.

    python generate_synthforge_data.py --output_dir faces --num_images 2000 --extras parsing_lapa
    python examples/train_parsing.py train faces --labels parsing_lapa --out parsing
    python examples/train_parsing.py evaluate parsing photos

`photos` is a folder as LaPa has it: images/NAME.jpg and labels/NAME.png, whose pixels are class
ids. See docs/training.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from augmentation import as_photographed, for_opencv, random_view
from matplotlib import pyplot
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from synthforge.detectors.crops import Square
from synthforge.detectors.face_mesh import face_mesh

VIEW = 128  # pixels that the net reads
STORED = 208  # of a stored crop: what augmentation may turn and shift the view in
EXTENT = 2.2  # the view's side, in extents of the detected face mesh: hair and ears are in it
MARGIN = (STORED - VIEW) // 2
IGNORE = 255  # a label that nothing is learnt from
Images = NDArray[np.uint8]


def crop(image: Images, labels: Images) -> tuple[Images, Images]:
    """The detected face, upright: [208, 208, 3] and its labels. Without one, the whole image."""
    mesh = face_mesh(image)
    if mesh is None:
        square = Square(image.shape[1] / 2, image.shape[0] / 2, max(image.shape[:2]))
    else:
        low, high = mesh.points_px.min(0), mesh.points_px.max(0)
        square = Square(*((low + high) / 2), EXTENT * (high - low).max() * STORED / VIEW)
    scale = STORED / square.side
    if scale < 0.5:  # average first: the cut would skip pixels
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    offset = [STORED / 2 - scale * square.x, STORED / 2 - scale * square.y]
    matrix = for_opencv(np.column_stack([scale * np.eye(2), offset]))
    shape = STORED, STORED
    cut = cv2.warpAffine(image, matrix, shape, borderMode=cv2.BORDER_REPLICATE)
    outside = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": IGNORE}
    return cut, cv2.warpAffine(labels, matrix, shape, flags=cv2.INTER_NEAREST, **outside)


def read_folder(root: Path, folder: str, count: int | None) -> tuple[Images, Images]:
    """Crops [N, 208, 208, 3] RGB and labels [N, 208, 208] of root/images and root/`folder`."""
    faces = []
    files = sorted((root / folder).glob("*.png"))[:count]
    for file in tqdm(files, desc="Reading", unit="img"):
        image = next((root / "images").glob(f"{file.stem}.*"), None)
        labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if image is None or labels is None or labels.ndim != 2:
            raise click.ClickException(f"{file}: expected one channel, and an image of its name")
        faces.append(crop(np.ascontiguousarray(cv2.imread(str(image))[..., ::-1]), labels))
    if len(faces) < 2:
        raise click.ClickException(f"{root} holds {len(faces)} {folder}/*.png; two are needed")
    return np.stack([face[0] for face in faces]), np.stack([face[1] for face in faces])


def class_names(dataset: Path, folder: str) -> list[str]:
    """Of the ids in the dataset's folder, from dataset.json."""
    card = json.loads((dataset / "dataset.json").read_text())
    if folder == "seg_id":
        ids = {name: region["id"] for name, region in card["palette"].items()}
    elif folder in card.get("parsing", {}):
        ids = card["parsing"][folder]["classes"]
    else:
        raise click.ClickException(
            f"{dataset} has no {folder}: generate it with --extras {folder}, or name another"
        )
    return sorted(ids, key=ids.__getitem__)


def mirrored_ids(names: list[str]) -> Images:
    """Label -> its label in the mirror: left and right trade places. uint8 [256]."""
    table = np.arange(256, dtype=np.uint8)
    for sides in (("left", "right"), ("LEFT", "RIGHT"), ("l_", "r_")):
        for one, other in (sides, sides[::-1]):
            for i, name in enumerate(names):
                partner = name.replace(one, other, 1) if name.startswith(one) else name
                if partner != name and partner in names:
                    table[i] = names.index(partner)
    return table


def augment(
    image: Images, labels: Images, other: Images, mirror: Images, draws: np.random.Generator
) -> tuple[NDArray[np.float32], Images]:
    """A view of a crop as a photograph might show it, [128, 128, 3] in 0..1, and its labels."""
    matrix, is_mirrored = random_view(VIEW, STORED, draws)
    matrix, shape = for_opencv(matrix), (VIEW, VIEW)
    view = cv2.warpAffine(image, matrix, shape, borderMode=cv2.BORDER_REPLICATE)
    outside = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": IGNORE}
    labels = cv2.warpAffine(labels, matrix, shape, flags=cv2.INTER_NEAREST, **outside)
    return as_photographed(view, other, draws), mirror[labels] if is_mirrored else labels


def conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    layers = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
    return nn.Sequential(*layers, nn.ReLU())


class ParsingNet(nn.Module):
    """A small U-net: [B, 3, 128, 128] in 0..1 -> logits [B, classes, 128, 128]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (24, 48, 72, 96, 128)
        pairs = zip((3, *widths), widths, strict=False)
        self.down = nn.ModuleList(nn.Sequential(conv(a, b, 2), conv(b, b)) for a, b in pairs)
        ups = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(conv(a + b, b) for a, b in ups)
        self.classes = nn.Conv2d(widths[0], classes, 3, 1, 1)

    def forward(self, views: Tensor) -> Tensor:
        x, seen = (views - 0.45) / 0.25, []
        for step in self.down:
            x = step(x)
            seen.append(x)
        for step, finer in zip(self.up, seen[-2::-1], strict=True):
            x = step(torch.cat([F.interpolate(x, scale_factor=2.0), finer], 1))
        return F.interpolate(self.classes(x).float(), scale_factor=2.0, mode="bilinear")


@torch.inference_mode()
def predict(net: ParsingNet, crops: Images) -> Images:
    """Labels [N, 128, 128] of the middle of each crop."""
    net.eval()
    device, inner, found = next(net.parameters()).device, slice(MARGIN, MARGIN + VIEW), []
    for part in np.array_split(crops, -(-len(crops) // 32)):
        views = torch.from_numpy(part[:, inner, inner].astype(np.float32) / 255).to(device)
        found.append(net(views.permute(0, 3, 1, 2)).argmax(1).byte().cpu())
    net.train()
    return torch.cat(found).numpy()


def f1_scores(found: Images, labels: Images, classes: int) -> NDArray[np.float64]:
    """F1 of each class over all pixels, in %; NaN for a class that the labels lack. LaPa's."""
    true = labels[:, MARGIN : MARGIN + VIEW, MARGIN : MARGIN + VIEW]
    known = true != IGNORE
    scores = []
    for i in range(classes):
        said, is_there = (found == i) & known, true == i
        both = 2 * (said & is_there).sum() / max(said.sum() + is_there.sum(), 1)
        scores.append(100 * both if is_there.any() else np.nan)
    return np.array(scores)


@click.group()
def main() -> None:
    """Train a face-parsing net on synthetic faces, evaluate it on photographs."""


@main.command()
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--labels", default="parsing_lapa", show_default=True, help="Folder of the dataset.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder.")
@click.option("--samples", type=int, default=None, help="Use the first so many.  [default: all]")
@click.option("--steps", type=int, default=3000, show_default=True)
@click.option("--batch_size", type=int, default=24, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def train(
    dataset: Path,
    labels: str,
    out: Path,
    samples: int | None,
    steps: int,
    batch_size: int,
    seed: int,
) -> None:
    """Train on DATASET, a tenth of which is kept to validate with."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    draws = np.random.default_rng(seed)
    names = class_names(dataset, labels)
    mirror = mirrored_ids(names)
    crops, ids = read_folder(dataset, labels, samples)
    held = max(len(crops) // 10, 1)
    val, crops, ids = (crops[:held], ids[:held]), crops[held:], ids[held:]
    net = ParsingNet(len(names)).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps + 1)
    # bfloat16 where the processor has it; elsewhere it would be slower.
    half = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    losses, scores = [], []
    with tqdm(total=steps, desc="Training", unit="step") as bar:
        for step in range(1, steps + 1):
            chosen = draws.integers(len(crops), size=(batch_size, 2))
            batch = [augment(crops[i], ids[i], crops[j], mirror, draws) for i, j in chosen]
            views = torch.from_numpy(np.stack([b[0] for b in batch])).permute(0, 3, 1, 2)
            target = torch.from_numpy(np.stack([b[1] for b in batch])).long().to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = net(views.to(device, memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, target, ignore_index=IGNORE)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if step % 200 == 0 or step == steps:
                f1 = f1_scores(predict(net, val[0]), val[1], len(names))
                scores.append((step, np.nanmean(f1[1:])))
            said = f"{scores[-1][1]:.1f}" if scores else "-"
            bar.set_postfix(loss=f"{losses[-1]:.3f}", f1=said, refresh=False)
            bar.update()
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file(weights, out / "net.safetensors", {"classes": json.dumps(names)})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(range(1, steps + 1), losses, linewidth=0.5)
    left.set(title="Training loss", xlabel="step", yscale="log")
    right.plot(*zip(*scores, strict=True), marker=".")
    right.set(title="Validation: mean F1 without background [%]", xlabel="step", ylim=(0, 100))
    figure.savefig(out / "curves.png", dpi=120)
    write_sheet(out / "validation.png", val[0], predict(net, val[0]), val[1])
    click.echo(f"{len(crops)} samples; validation F1 {scores[-1][1]:.1f} %. Wrote {out}")


@main.command()
@click.argument("trained", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
def evaluate(trained: Path, photos: Path) -> None:
    """Measure the net in TRAINED on PHOTOS: images/ and labels/, as LaPa has them."""
    with safe_open(trained / "net.safetensors", framework="pt") as file:
        names = json.loads(file.metadata()["classes"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    net = ParsingNet(len(names))
    net.load_state_dict(weights)
    crops, labels = read_folder(photos, "labels", None)
    found = predict(net, crops)
    scores = f1_scores(found, labels, len(names))
    for name, score in zip(names, scores, strict=True):
        click.echo(f"{name:24}{score:7.1f}")
    click.echo(f"{'mean, no background':24}{np.nanmean(scores[1:]):7.1f}")
    write_sheet(trained / "photos.png", crops, found, labels)
    click.echo(f"Image, labels, the net: {trained / 'photos.png'}")


def write_sheet(path: Path, crops: Images, found: Images, labels: Images) -> None:
    """Rows of up to 10 faces: image, labels, what the net says."""
    inner = slice(MARGIN, MARGIN + VIEW)
    hues = np.arange(256) * 47 % 180
    colors = np.stack([hues, np.full(256, 150), np.full(256, 230)], -1).astype(np.uint8)
    colors = cv2.cvtColor(colors[None], cv2.COLOR_HSV2RGB)[0]
    colors[[0, IGNORE]] = [[40, 40, 40], [0, 0, 0]]
    rows = [
        np.hstack([crops[i, inner, inner], colors[labels[i, inner, inner]], colors[found[i]]])
        for i in range(min(len(crops), 10))
    ]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
