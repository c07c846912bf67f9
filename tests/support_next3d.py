"""Weights and inputs of the Next3D goldens, from their published rules rather than from files.

The goldens are numbers of the real network run with these weights on these inputs.
"""

from __future__ import annotations

import functools
import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synthforge.camera import Camera
from synthforge.next3d import Next3D, Next3DConfig, Topology

GOLDEN_DIR = Path(__file__).parent / "next3d"
TINY = Next3DConfig(channel_base=1024, channel_max=32, neural_rendering_resolution=32)
FULL = Next3DConfig(channel_base=32768, channel_max=512, neural_rendering_resolution=64)

_LONGITUDES, _LATITUDES = 64, 78
# (yaw rad, pitch rad, diagonal fov deg)
CAMERAS = ((0.3, -0.2, 18.837), (-0.5, 0.15, 22), (0, 0, 18), (0.8, -0.8, 24), (-0.8, 0.8, 20))


def normal(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 standard normals that depend on a name alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape).astype(np.float32)


def filled(name: str, shape: tuple[int, ...]) -> Tensor:
    """The weight of that name. Shapes decide nothing but the number of values."""
    x, one = normal(name, shape), np.float32(1)
    if name.endswith(".w_avg"):
        x = np.zeros_like(x)
    elif name.endswith(".noise_const"):
        pass
    elif name.endswith(".noise_strength"):
        x = np.float32(0.05) * x
    elif name.endswith(("mapping.fc0.weight", "mapping.fc1.weight")):
        x = np.float32(100) * x
    elif name.endswith(("mapping.fc0.bias", "mapping.fc1.bias")):
        x = np.float32(10) * x
    elif name.endswith("affine.bias"):
        x = one + np.float32(0.1) * x
    elif name == "decoder.net.2.weight":
        x = np.where(np.arange(33)[:, None] == 0, np.float32(10), np.float32(2)) * x
    elif name == "decoder.net.2.bias":
        x = np.float32(0.1) * x
        x[0] += np.float32(9)
    elif name.startswith(("mouth_backbone.", "neural_blending.")) and name.endswith("torgb.weight"):
        x = np.float32(0.25) * x
    elif name.endswith(".bias"):
        x = np.float32(0.1) * x
    return torch.from_numpy(np.asarray(x, np.float32))


def filled_state(module: torch.nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {
        name: filled(prefix + name, tuple(tensor.shape))
        for name, tensor in module.state_dict().items()
    }


def fill(module: torch.nn.Module, prefix: str = "") -> None:
    """Give every weight of a layer its value by the rule."""
    module.load_state_dict(filled_state(module, prefix))


def generator(config: Next3DConfig, variant: str = "front", **kwargs: object) -> Next3D:
    built = Next3D.from_config(config, topology(), uv_face_mask(), variant, **kwargs)
    fill(built)
    return built


def latents() -> Tensor:
    return torch.from_numpy(normal("input:z", (2, 512)))


def cameras() -> Tensor:
    """float32 [5, 25]; the batch uses the first two."""
    yaw, pitch, fov = torch.tensor(CAMERAS, dtype=torch.float64).t()
    return Camera.look_at(yaw, pitch, fov).vector


def _surface(lam: np.ndarray, th: np.ndarray) -> np.ndarray:
    rho = 1 + 0.22 * np.exp(-((lam / 0.22) ** 2 + ((th - 1.45) / 0.16) ** 2) / 2)
    rho = rho + 0.03 * np.sin(3 * lam + 0.5) * np.sin(5 * th) * np.sin(th) ** 2
    x = 0.100 * rho * np.sin(th) * np.sin(lam)
    y = -0.033 + 0.150 * rho * np.cos(th)
    z = -0.037 + 0.100 * rho * np.sin(th) * np.cos(lam)
    return np.stack([x, y, z], -1)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    lam = -math.pi + 2 * math.pi * np.arange(_LONGITUDES) / _LONGITUDES
    th = math.pi * (np.arange(_LATITUDES) + 1) / (_LATITUDES + 1)
    return lam, th


def _template() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (float64 of float32) and landmarks (float64) of the undeformed head."""
    lam, th = _grid()
    vertices = np.zeros((5023, 3))
    vertices[:4992] = _surface(lam[None, :], th[:, None]).reshape(-1, 3)
    vertices[4992] = _surface(np.float64(0), np.float64(0))
    vertices[4993] = _surface(np.float64(0), np.float64(math.pi))

    k = np.arange(68.0)
    outer, inner = 2 * math.pi * (k - 48) / 12, 2 * math.pi * (k - 60) / 8
    pieces = [k < 17, k < 48, k < 60]
    lam_k = np.select(
        pieces,
        [-1.2 + 2.4 * k / 16, -0.8 + 1.6 * (k - 17) / 30, -0.30 * np.cos(outer)],
        -0.24 * np.cos(inner),
    )
    th_k = np.select(
        pieces,
        [1.9 + 0.4 * np.sin(math.pi * k / 16), 1.2 + 0.2 * np.sin(k), 1.74 - 0.13 * np.sin(outer)],
        1.74 - 0.05 * np.sin(inner),
    )
    return vertices.astype(np.float32).astype(np.float64), _surface(lam_k, th_k)


def _deform(points: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack(
        [
            1.04 * x + 0.003 * np.sin(37 * y + 1) + 0.002,
            0.97 * y + 0.004 + 0.003 * np.sin(29 * z + 2),
            1.03 * z + 0.003 * np.sin(41 * x + 3),
        ],
        -1,
    )


def heads() -> tuple[Tensor, Tensor]:
    """Vertices [2, 5023, 3] and landmarks [2, 68, 3], metres; the second head is deformed."""
    vertices, landmarks = (
        torch.from_numpy(np.stack([points, _deform(points)]).astype(np.float32))
        for points in _template()
    )
    return vertices, landmarks


@functools.cache
def topology() -> Topology:
    _, th = _grid()
    columns, rows = np.meshgrid(np.arange(_LONGITUDES + 1), np.arange(_LATITUDES))
    u = 0.01 + 0.98 * columns / _LONGITUDES
    v = 0.01 + 0.98 * (1 - th[rows] / math.pi)
    pole_u = 0.01 + 0.98 * (np.arange(_LONGITUDES) + 0.5) / _LONGITUDES
    uvs = np.concatenate(
        [
            np.stack([u, v], -1).reshape(-1, 2),
            np.stack([pole_u, np.full(_LONGITUDES, 0.99)], -1),
            np.stack([pole_u, np.full(_LONGITUDES, 0.01)], -1),
        ]
    )

    faces, uv_faces = [], []
    for i in range(_LATITUDES - 1):
        for j in range(_LONGITUDES):
            lam_c = -math.pi + 2 * math.pi * (j + 0.5) / _LONGITUDES
            th_c = math.pi * (i + 1.5) / (_LATITUDES + 1)
            if (lam_c / 0.27) ** 2 + ((th_c - 1.74) / 0.10) ** 2 < 1:
                continue
            k = (j + 1) % _LONGITUDES
            a, b, c, d = i * 64 + j, i * 64 + k, (i + 1) * 64 + j, (i + 1) * 64 + k
            faces += [(a, c, d), (a, d, b)]
            a, b, c, d = i * 65 + j, i * 65 + j + 1, (i + 1) * 65 + j, (i + 1) * 65 + j + 1
            uv_faces += [(a, c, d), (a, d, b)]
    last = _LATITUDES - 1
    for j in range(_LONGITUDES):
        faces.append((4992, j, (j + 1) % 64))
        uv_faces.append((5070 + j, j, j + 1))
    for j in range(_LONGITUDES):
        faces.append((4993, last * 64 + (j + 1) % 64, last * 64 + j))
        uv_faces.append((5134 + j, last * 65 + j + 1, last * 65 + j))
    return Topology(
        torch.tensor(faces), torch.from_numpy(uvs.astype(np.float32)), torch.tensor(uv_faces)
    )


@functools.cache
def uv_face_mask() -> Tensor:
    """float32 [1, 1, 256, 256]"""
    u = ((np.arange(256) + 0.5) / 256)[None, :]
    v = (1 - (np.arange(256) + 0.5) / 256)[:, None]
    d = ((u - 0.5) / 0.27) ** 2 + ((v - 0.5) / 0.33) ** 2
    t = np.clip((1 - d) / 0.3, 0, 1)
    m = t**2 * (3 - 2 * t)
    for eye in (0.42, 0.58):
        m = m * (1 - 0.9 * np.exp(-(((u - eye) / 0.035) ** 2 + ((v - 0.60) / 0.02) ** 2)))
    m = np.where(v > 0.60, m * (1 - 0.6 * np.exp(-(((u - 0.58) / 0.012) ** 2))), m)
    levels = np.floor(255 * m + 0.5).astype(np.float32)
    return torch.from_numpy(levels / np.float32(255))[None, None]


class Goldens:
    """Values of the real network at some flat indices of its tensors."""

    def __init__(self, file: str):
        with np.load(GOLDEN_DIR / file) as arrays:
            self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def error(
        self, name: str, got: Tensor, where: np.ndarray | None = None, *, first: bool = False
    ) -> float:
        """Largest absolute difference over the stored values (those in the mask `where`).

        first: `got` is the batch's first sample alone.
        """
        index, want = self._arrays[f"{name}.index"], self._arrays[f"{name}.value"]
        values = got.detach().float().reshape(-1).numpy()
        if first:
            where = index < values.size
        if where is not None:
            index, want = index[where], want[where]
        return float(np.abs(values[index] - want).max())
