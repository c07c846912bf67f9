"""Crops of faces: read from files, cut out of images, laid side by side to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from glob import escape
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp"}
Array = NDArray[np.floating]
Image = NDArray[np.uint8]


def read_all(folder: Path, files: Sequence[Path], read: Callable[[Path], tuple]) -> list[NDArray]:
    """What `read` makes of the folder's files, stacked: with (crop, points), crops and points."""
    parts = [read(file) for file in tqdm(files, desc="Reading", unit="img")]
    if len(parts) < 2:
        raise click.UsageError(f"{folder} holds {len(parts)} labelled images; two are needed")
    return [np.stack(column) for column in zip(*parts, strict=True)]


def read_image(folder: Path, stem: str) -> Image:
    """RGB [H, W, 3] of the image of that name, whatever its suffix."""
    files = [file for file in folder.glob(f"{escape(stem)}.*") if file.suffix.lower() in SUFFIXES]
    image = cv2.imread(str(files[0])) if files else None
    if image is None:
        raise click.UsageError(f"{folder} holds no image {stem}.png or .jpg that can be read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def centred(x: float, y: float, scale: float, size: int) -> Array:
    """Matrix [2, 3] that scales an image and moves its (x, y) to the middle of a crop."""
    return np.array([[scale, 0, size / 2 - scale * x], [0, scale, size / 2 - scale * y]])


def cut(image: Image, matrix: Array, size: int) -> Image:
    """The image under `matrix`, [size, size, 3]. Pixel centres at +0.5."""
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if scale < 0.5:  # average first: warpAffine would skip pixels
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    shape = size, size
    return cv2.warpAffine(image, for_opencv(matrix), shape, borderMode=cv2.BORDER_REPLICATE)


def for_opencv(matrix: Array) -> Array:
    """The same matrix for pixel centres at whole numbers, as OpenCV has them."""
    return np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2].sum(1) / 2 - 0.5])


def middle(crops: NDArray, size: int) -> NDArray:
    """The middle [N, size, size, ...] of crops: what a net reads of them."""
    margin = (crops.shape[1] - size) // 2
    return crops[:, margin : margin + size, margin : margin + size]


def batches(views: Image, device: torch.device, count: int = 64) -> Iterator[Tensor]:
    """Views [N, S, S, 3] as a net reads them: [count, 3, S, S] in 0..1."""
    for start in range(0, len(views), count):
        part = torch.from_numpy(views[start : start + count].astype(np.float32) / 255)
        yield part.permute(0, 3, 1, 2).to(device)


def write_sheet(path: Path, tiles: Sequence[Image], columns: int) -> None:
    """Tiles of one size, row by row, as one image."""
    tiles = [*tiles, *[np.zeros_like(tiles[0])] * (-len(tiles) % columns)]
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
