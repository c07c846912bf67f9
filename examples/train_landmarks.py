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
from augmentation import as_photographed, for_opencv, random_view
from matplotlib import pyplot
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from synthforge.landmarks import FLIP, OUTER_EYE_CORNERS

VIEW = 96  # pixels that the net reads
STORED = 160  # of a stored crop: what augmentation may turn and shift the view in
CELL = 4  # pixels of a heatmap's cell
EXTENT = 2.0  # the view's side, in extents of the 51 inner points
MARGIN = (STORED - VIEW) // 2
IMAGES = {".png", ".jpg", ".jpeg", ".bmp"}
Array = NDArray[np.floating]


def crop(image: NDArray[np.uint8], points: Array) -> tuple[NDArray[np.uint8], Array]:
    """The face as [160, 160, 3], and its points in that. The view lies in the middle."""
    low, high = points[17:].min(0), points[17:].max(0)
    scale = VIEW / (EXTENT * (high - low).max())
    offset = STORED / 2 - scale * (low + high) / 2
    if scale < 0.5:  # average first: warpAffine would skip pixels
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    matrix = for_opencv(np.column_stack([scale * np.eye(2), offset]))
    cut = cv2.warpAffine(image, matrix, (STORED, STORED), borderMode=cv2.BORDER_REPLICATE)
    return cut, points * scale + offset


def read_dataset(folder: Path, count: int | None) -> tuple[NDArray[np.uint8], Array]:
    """Crops [N, 160, 160, 3] RGB and points [N, 68, 2] of a dataset's first `count` samples."""
    files = sorted((folder / "annotations").glob("*.json"))[:count]
    faces = []
    for file in tqdm(files, desc="Reading", unit="img"):
        image = cv2.imread(str(folder / "images" / f"{file.stem}.png"))[..., ::-1]
        points = np.array(json.loads(file.read_text())["2d_kps"])
        faces.append(crop(np.ascontiguousarray(image), points))
    if not faces:
        raise click.ClickException(f"{folder} holds no annotations/*.json; is it a dataset?")
    return np.stack([face[0] for face in faces]), np.stack([face[1] for face in faces])


def read_photos(folder: Path) -> tuple[NDArray[np.uint8], Array]:
    """Crops and points, as of `read_dataset`, of images with a .pts file beside them."""
    faces = []
    for file in sorted(folder.rglob("*.pts")):
        image = next((p for p in file.parent.glob(f"{file.stem}.*") if p.suffix in IMAGES), None)
        lines = file.read_text().split("{")[-1].split("}")[0].split()
        if image is None or len(lines) != 136:
            raise click.ClickException(f"{file}: expected 68 points, and an image beside it")
        points = np.array(lines, float).reshape(68, 2) - 0.5  # 300-W counts pixels from 1
        faces.append(crop(np.ascontiguousarray(cv2.imread(str(image))[..., ::-1]), points))
    if len(faces) < 2:
        raise click.ClickException(f"{folder} holds {len(faces)} .pts files; two are needed")
    return np.stack([face[0] for face in faces]), np.stack([face[1] for face in faces])


def augment(
    image: NDArray[np.uint8], points: Array, other: NDArray[np.uint8], draws: np.random.Generator
) -> tuple[NDArray[np.float32], Array]:
    """A view of a crop as a photograph might show it, [96, 96, 3] in 0..1, and its points."""
    matrix, is_mirrored = random_view(VIEW, STORED, draws)
    if is_mirrored:  # left and right landmarks trade places
        points = points[list(FLIP)]
    shape = VIEW, VIEW
    view = cv2.warpAffine(image, for_opencv(matrix), shape, borderMode=cv2.BORDER_REPLICATE)
    return as_photographed(view, other, draws), points @ matrix[:, :2].T + matrix[:, 2]


def conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    layers = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
    return nn.Sequential(*layers, nn.ReLU())


class LandmarkNet(nn.Module):
    """A small U-net: [B, 3, 96, 96] in 0..1 -> heatmaps [B, 68, 24, 24], logits."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(3, 24, 2), conv(24, 48, 2), conv(48, 48))
        self.middle = nn.Sequential(conv(48, 72, 2), conv(72, 72))
        self.coarse = nn.Sequential(conv(72, 96, 2), conv(96, 96), conv(96, 96))
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(96, 96, 1))
        self.up_middle, self.up_fine = conv(96 + 72, 72), conv(72 + 48, 72)
        self.heatmaps = nn.Sequential(conv(72, 72), nn.Conv2d(72, 68, 1))

    def forward(self, views: Tensor) -> Tensor:
        fine = self.fine((views - 0.45) / 0.25)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        coarse = F.interpolate(coarse + self.whole(coarse), scale_factor=2.0)
        middle = self.up_middle(torch.cat([coarse, middle], 1))
        fine = torch.cat([F.interpolate(middle, scale_factor=2.0), fine], 1)
        return self.heatmaps(self.up_fine(fine)).float()


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
    target = F.normalize((y[..., :, None] * x[..., None, :]).flatten(2), p=1.0, dim=-1)
    spread = -(target * heatmaps.flatten(2).log_softmax(-1)).sum(-1)
    each = F.smooth_l1_loss(off, torch.zeros_like(off), reduction="none").sum(-1) + 0.1 * spread
    return (each * inside).sum() / inside.sum().clamp_min(1)


@torch.inference_mode()
def predict(net: LandmarkNet, crops: NDArray[np.uint8]) -> Array:
    """Points [N, 68, 2] in the crops: the mean of what net says of each and of its mirror image."""
    net.eval()
    device = next(net.parameters()).device
    inner = slice(MARGIN, MARGIN + VIEW)
    found = []
    for part in np.array_split(crops, -(-len(crops) // 64)):
        views = torch.from_numpy(part[:, inner, inner].astype(np.float32) / 255).to(device)
        views = views.permute(0, 3, 1, 2)
        points, mirrored = points_of(net(views)), points_of(net(views.flip(3)))
        mirrored = mirrored * mirrored.new_tensor([-1, 1]) + mirrored.new_tensor([VIEW, 0])
        found.append((points + mirrored[:, list(FLIP)]) / 2 + MARGIN)
    net.train()
    return torch.cat(found).cpu().numpy().astype(float)


def nme(found: Array, true: Array) -> Array:
    """Distance of each point, [N, 68], in % of the face's outer-eye distance."""
    right, left = (true[:, i] for i in OUTER_EYE_CORNERS)
    size = np.linalg.norm(right - left, axis=-1)[:, None]
    return 100 * np.linalg.norm(found - true, axis=-1) / size


def adapted(found: Array, true: Array, test: Array, seed: int = 0) -> Array:
    """Label adaptation: test points in the convention of `true`, learnt from pairs found, true.

    A net of one hidden layer says how far each point is moved, from where all of them are.
    """
    torch.manual_seed(seed)
    pairs = [torch.from_numpy(part / STORED - 0.5).float() for part in (found, true)]
    mirror = [part[:, list(FLIP)] * torch.tensor([-1.0, 1.0]) for part in pairs]
    x, y = (torch.cat(both).flatten(1) for both in zip(pairs, mirror, strict=True))
    net = nn.Sequential(nn.Linear(136, 32), nn.Tanh(), nn.Linear(32, 136))
    nn.init.zeros_(net[2].weight)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1.0)
    for _ in range(300):
        noisy = x + 0.01 * torch.randn_like(x)
        optimizer.zero_grad()
        F.smooth_l1_loss(noisy + net(noisy), y, beta=0.02).backward()
        optimizer.step()
    with torch.no_grad():
        points = torch.from_numpy(test / STORED - 0.5).float().flatten(1)
        return ((points + net(points)).view(-1, 68, 2).numpy() + 0.5) * STORED


@click.group()
def main() -> None:
    """Train a landmark net on synthetic faces, evaluate it on photographs."""


@main.command()
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder.")
@click.option("--samples", type=int, default=None, help="Use the first so many.  [default: all]")
@click.option("--steps", type=int, default=3000, show_default=True)
@click.option("--batch_size", type=int, default=48, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def train(
    dataset: Path, out: Path, samples: int | None, steps: int, batch_size: int, seed: int
) -> None:
    """Train on DATASET, a tenth of which is kept to validate with."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    draws = np.random.default_rng(seed)
    crops, points = read_dataset(dataset, samples)
    held = max(len(crops) // 10, 1)
    val, crops, points = (crops[:held], points[:held]), crops[held:], points[held:]
    if not len(crops):
        raise click.ClickException(f"{dataset} holds one sample; two are needed")
    net = LandmarkNet().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps + 1)
    # bfloat16 where the processor has it; elsewhere it would be slower.
    half = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    losses, errors = [], []
    with tqdm(total=steps, desc="Training", unit="step") as bar:
        for step in range(1, steps + 1):
            chosen = draws.integers(len(crops), size=(batch_size, 2))
            batch = [augment(crops[i], points[i], crops[j], draws) for i, j in chosen]
            views = torch.from_numpy(np.stack([b[0] for b in batch])).permute(0, 3, 1, 2)
            target = torch.from_numpy(np.stack([b[1] for b in batch])).float().to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                heatmaps = net(views.to(device, memory_format=torch.channels_last))
            loss = loss_of(heatmaps, target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if step % 200 == 0 or step == steps:
                errors.append((step, nme(predict(net, val[0]), val[1])[:, 17:].mean()))
            said = f"{errors[-1][1]:.2f}%" if errors else "-"
            bar.set_postfix(loss=f"{losses[-1]:.3f}", val=said, refresh=False)
            bar.update()
    out.mkdir(parents=True, exist_ok=True)
    mean_shape = torch.from_numpy(points.mean(0)).float()
    weights = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file({**weights, "mean_shape": mean_shape}, out / "net.safetensors")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(range(1, steps + 1), losses, linewidth=0.5)
    left.set(title="Training loss", xlabel="step", yscale="log")
    right.plot(*zip(*errors, strict=True), marker=".")
    right.set(title="Validation error, 51 inner points [%]", xlabel="step", ylim=(0, None))
    figure.savefig(out / "curves.png", dpi=120)
    write_sheet(out / "validation.png", val[0], predict(net, val[0]), val[1])
    click.echo(f"{len(crops)} samples; validation error {errors[-1][1]:.2f} %. Wrote {out}")


@main.command()
@click.argument("trained", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
def evaluate(trained: Path, photos: Path) -> None:
    """Measure the net in TRAINED on PHOTOS: images with .pts files."""
    tensors = load_file(trained / "net.safetensors")
    mean_shape = tensors.pop("mean_shape").numpy().astype(float)
    net = LandmarkNet()
    net.load_state_dict(tensors)
    crops, true = read_photos(photos)
    found = predict(net, crops)
    # Each half is adapted by what was learnt from the other.
    even, moved = np.arange(len(true)) % 2 == 0, np.empty_like(found)
    for half in (even, ~even):
        moved[half] = adapted(found[~half], true[~half], found[half])
    click.echo(f"{len(true)} faces; % of the outer-eye distance")
    click.echo(f"{'':24}{'51 inner':>9}{'median':>9}{'all 68':>9}{'> 8 %':>9}")
    rows = {"mean shape": np.broadcast_to(mean_shape, true.shape), "the net": found}
    for name, points in (rows | {"with label adaptation": moved}).items():
        error = nme(points, true)
        inner = error[:, 17:].mean(1)
        wrong = f"{100 * (inner > 8).mean():8.1f}%"
        numbers = inner.mean(), np.median(inner), error.mean()
        click.echo(f"{name:24}" + "".join(f"{number:9.2f}" for number in numbers) + wrong)
    write_sheet(trained / "photos.png", crops, found, true)
    click.echo(f"Worst and best: {trained / 'photos.png'} (green: labels, pink: the net)")


def write_sheet(path: Path, crops: NDArray[np.uint8], found: Array, true: Array) -> None:
    """Up to 32 faces, from worst to best, with labels in green and predictions in pink."""
    order = nme(found, true)[:, 17:].mean(1).argsort()[::-1]
    order = order[np.linspace(0, len(order) - 1, min(len(order), 32)).round().astype(int)]
    tiles = []
    for i in order:
        tile = cv2.resize(crops[i], (2 * STORED, 2 * STORED), interpolation=cv2.INTER_CUBIC)
        for points, color in ((true[i], (0, 255, 0)), (found[i], (255, 60, 200))):
            for x, y in points:
                cv2.circle(tile, (round(2 * x), round(2 * y)), 2, color, -1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % min(len(tiles), 8))
    rows = [np.hstack(tiles[i : i + 8]) for i in range(0, len(tiles), 8)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
