"""A dataset as torch's DataLoader takes it: decoded tensors in stated units, camera included."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.dataset.folder import ANNOTATIONS, DatasetError, image_size
from synthforge.dataset.mirror import Mirror
from synthforge.dataset.read import Dataset, palette_ids
from synthforge.dataset.stored import StoredSample
from synthforge.frames import DEPTH16_STEP_M, UNITS_PER_METRE
from synthforge.labels import IMAGES, NUMBERS
from synthforge.regions import BACKGROUND

_UNIT_M = 1 / UNITS_PER_METRE
# Made of camera_params.
_CAMERA = ("T_gen_cam", "K_px")


class FaceDataset(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Samples of a folder or of shards as dicts of tensors, by the names of labels.

    root: a folder or, for shards, also a URL. labels: names of folders and of keys of the
    annotation, and T_gen_cam and K_px; all if None. flip: share of the samples that are mirrored,
    drawn by torch's random numbers; see `Mirror`.

    images: float32 [3, H, W], sRGB in [0, 1].
    seg, seg_id, seg_visible, parsing_*, and other ids: int64 [H, W].
    alpha: float32 [H, W] in [0, 1].
    depth, depth16, depth16_visible, volume_depth: float32 [H, W], z-depth in metres; 0 where there
        is nothing.
    normals: float32 [3, H, W], unit vectors in the camera frame; 0 where there is nothing.
    uv: float32 [3, H, W]: u and v in [0, 1], then 1 where there is something, else 0.
    T_gen_cam: float32 [4, 4], camera to generator world, generator units (0.4 m).
    K_px: float32 [3, 3], intrinsics in pixels, whose centres are at +0.5.
    Keys of the annotation: float32 or int64, in the shapes and units of docs/formats.md.

    Torch's default collate makes batches of them; workers may be forked or spawned. Raises
    DatasetError if flip is no share or labels no list, if there is no dataset, a label is not in it
    or, with flip, has no mirror image; and for a sample that cannot be read.
    """

    def __init__(
        self, root: str | Path, labels: Sequence[str] | None = None, flip: float = 0.0
    ) -> None:
        if isinstance(flip, str) or not 0 <= flip <= 1:
            raise DatasetError(f"flip is a share of the samples, 0 to 1; got {flip!r}")
        if isinstance(labels, str):
            raise DatasetError(f"labels is a list of names; give [{labels!r}]")
        self.dataset = Dataset(root)
        self.mirror = Mirror(self.dataset.card)
        self.flip = flip
        self._indices = np.array(self.dataset.indices, np.int64)
        keys: set[str] = set()
        if len(self._indices):
            keys = {*self.dataset.annotation(int(self._indices[0]))}
        derived = _CAMERA if "camera_params" in keys else ()
        known = (*self.dataset.folders, *sorted(keys), *derived)
        self.labels = known if labels is None else tuple(labels)
        missing = [name for name in self.labels if name not in known]
        if missing and (keys or labels is None):
            raise DatasetError(
                f"{self.dataset.root} has no {', '.join(missing)}; choose from {', '.join(known)}"
            )
        if flip:
            self.mirror.check(self.labels)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        """The sample at a place, 0 <= position < len. Raises IndexError beyond the last."""
        index = int(self._indices[operator.index(position)])
        return self._decoded(self.dataset.sample(index, self._folders))

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """All samples, ascending; shards are read from beginning to end."""
        return (self._decoded(sample) for sample in self.dataset.samples())

    @property
    def _folders(self) -> tuple[str, ...]:
        """Folders to read for the labels; depth's background is told from seg."""
        wanted = {name for name in self.labels if name in self.dataset.folders}
        return tuple(sorted(wanted | ({"seg"} if "depth" in wanted else set())))

    def _decoded(self, sample: StoredSample) -> dict[str, Tensor]:
        decoded = {name: self._label(name, sample) for name in self.labels}
        is_flipped = self.flip > 0 and float(torch.rand(())) < self.flip
        return self.mirror(decoded) if is_flipped else decoded

    def _label(self, name: str, sample: StoredSample) -> Tensor:
        if name in self.dataset.folders:
            return _image(name, sample)
        if name in _CAMERA:
            return _camera(name, sample, image_size(self.dataset.card))
        return torch.from_numpy(_values(name, sample))


def _image(name: str, sample: StoredSample) -> Tensor:
    """See FaceDataset."""
    stored = sample.image(name)
    unit = IMAGES[name].unit if name in IMAGES else ""
    match unit:
        case "sRGB" | "1/255":
            return _channels_first(stored) / 255
        case "palette":
            return torch.from_numpy(palette_ids(stored, sample.paths[name])).long()
        case "the image's own":
            near, far = _values("depth_range", sample)
            z_depth = near + torch.from_numpy(stored) / 255 * (far - near)
            ids = palette_ids(sample.image("seg"), sample.paths["seg"])
            return (z_depth * _UNIT_M).masked_fill(torch.from_numpy(ids == BACKGROUND), 0).float()
        case "0.0001 m":
            return _channels_first(stored) * DEPTH16_STEP_M
        case "1/127.5":
            image = _channels_first(stored)
            covered = (image > 0).any(0)
            return torch.where(covered, image / 127.5 - 1, 0)
        case "1/65535":
            return _channels_first(stored) / 65535
    return torch.from_numpy(stored.astype(np.int64))


def _channels_first(image: NDArray[Any]) -> Tensor:
    """float32 [H, W] or [3, H, W]."""
    tensor = torch.from_numpy(image.astype(np.float32))
    return tensor if tensor.ndim == 2 else tensor.permute(2, 0, 1).contiguous()


def _camera(name: str, sample: StoredSample, size: int) -> Tensor:
    vector = torch.from_numpy(_values("camera_params", sample))
    if name == "T_gen_cam":
        return vector[:16].view(4, 4)
    return vector[16:].view(3, 3) * torch.tensor([size, size, 1.0])[:, None]


def _values(key: str, sample: StoredSample) -> NDArray[Any]:
    array = sample.array(key)
    if key in NUMBERS and array.shape != NUMBERS[key].shape:
        raise DatasetError(
            f"cannot read {sample.paths[ANNOTATIONS]}: {key} is {array.shape}, expected "
            f"{NUMBERS[key].shape}; `synthforge verify` tells all that is wrong"
        )
    return array
