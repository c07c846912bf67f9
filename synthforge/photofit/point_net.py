"""A net of our own that places the built-in head's points in the view that MediaPipe's mesh gives.

It was trained by tools/train_point_net.py on SynthForge samples alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.detectors import DetectorError
from synthforge.detectors.crops import Points, Square
from synthforge.detectors.face_mesh import POINTS, view_of
from synthforge.detectors.unet import UNet, mean_places
from synthforge.mannequin.head.baked import baked_head
from synthforge.mannequin.head.points import built_in_schemes
from synthforge.tensor_files import Layout, TensorFileError, read_tensors, write_tensors

FILE = "point_net.safetensors"
_FORMAT = "synthforge point net 2"
VIEW = 128  # pixels
# The view's side, in sides of the mesh's box.
MARGIN = 1.2
# Pixels of a heatmap's cell.
CELL = 4
_WIDTHS = (32, 64, 128, 256)
# Of the schemes mediapipe468 and ibug70.
OUTPUTS = POINTS + 70
_BATCH = 32


def face_view(mesh_points_px: Points) -> Square:
    """What the net sees of a face: upright, round the points [468, 2] of its mesh."""
    return view_of(mesh_points_px, MARGIN)


@cache
def flip() -> Tensor:
    """int64 [538]: where each point is when the view is mirrored."""
    schemes = built_in_schemes(baked_head())
    return torch.cat([schemes["mediapipe468"].flip, POINTS + schemes["ibug70"].flip])


def untrained() -> UNet:
    """Views [B, 3, 128, 128] in 0..1 -> heat maps [B, 538, 32, 32], logits."""
    return UNet(OUTPUTS, _WIDTHS, CELL)


@torch.inference_mode()
def find_points(net: UNet, views: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Points [B, 538, 2], pixels of the views [128, 128, 3]: the mean of what the net says of each
    and of its mirror image."""
    found = []
    for start in range(0, len(views), _BATCH):
        part = torch.from_numpy(np.stack(views[start : start + _BATCH])).permute(0, 3, 1, 2) / 255
        points, mirrored = (mean_places(net(seen), CELL) for seen in (part, part.flip(3)))
        mirrored = mirrored * mirrored.new_tensor([-1, 1]) + mirrored.new_tensor([VIEW, 0])
        found.append((points + mirrored[:, flip()]) / 2)
    return torch.cat(found).numpy().astype(np.float64)


@cache
def point_net() -> UNet:
    """The net that ships with the package. Raises DetectorError if its file is damaged."""
    with resources.as_file(resources.files(__package__) / FILE) as path:
        return read_net(path)


def read_net(path: Path) -> UNet:
    """A net that `write_net` wrote. Raises DetectorError."""
    net = untrained()
    try:
        tensors, _ = read_tensors(path, _FORMAT, ("training",), lambda metadata: _layout(net))
    except (FileNotFoundError, TensorFileError) as error:
        raise DetectorError(f"{path}: {error}; install SynthForge again") from error
    net.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    return net.eval()


def write_net(path: Path, net: UNet, training: dict[str, object]) -> None:
    """Weights, as float16 where they are convolutions', and what they were trained on."""
    state = net.state_dict()
    tensors = {name: state[name].to(dtype) for name, (dtype, _) in _layout(net).items()}
    write_tensors(path, _FORMAT, tensors, {"training": training})


def _layout(net: UNet) -> Layout:
    return {
        name: (torch.float16 if value.ndim == 4 else torch.float32, tuple(value.shape))
        for name, value in net.state_dict().items()
        if value.is_floating_point()
    }
