"""From a view to its sample: coarse at once, or whole; and the files of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synthforge import annotate
from synthforge.assembly import Rig
from synthforge.batches import make_samples
from synthforge.dataset.folder import ANNOTATIONS, DatasetError
from synthforge.dataset.sample import Sample, encode_sample
from synthforge.generators.known import GENERATORS
from synthforge.labels import CORE
from synthforge.mesh import vertex_normals
from synthforge.preview.glb import encode_glb
from synthforge.preview.view import View
from synthforge.rasterizer import rasterize
from synthforge.recipe_files import recipe_overrides
from synthforge.sampling import SampleId
from synthforge.whole_files import folder_appearing, write_whole

COARSE_SIZE = 192
_EXTRAS = ("seg_id", "depth16", "seg_visible")


@dataclass(frozen=True)
class Coarse:
    """A look at the bare head. sample: as a Sample's, COARSE_SIZE squared.

    vertices_m: float32 [V, 3], in the FLAME frame. faces: uint32 [F, 3].
    """

    sample: Sample
    vertices_m: NDArray[np.float32]
    faces: NDArray[np.uint32]


class Drawing:
    """Draws views. Each is read from its recipe, as `generate --recipe` reads it.

    The quality gate is left out: what it would reject is shown.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = replace(rig, detector=None)
        self.known = GENERATORS[rig.generator.name]
        self._lock = Lock()

    def coarse(self, view: View) -> Coarse:
        """Raises ConfigError for a view that makes no recipe."""
        with self._lock, torch.inference_mode():
            id, rig = self._set_up(view)
            parameters = rig.generator.draw([id], rig.sampling).to(rig.device)
            camera = parameters.camera
            mesh_flame = rig.head.mesh(parameters, camera)
            mesh_gen = rig.align(mesh_flame)
            fragments = rasterize(
                camera.to_ndc(mesh_gen.vertices),
                mesh_gen.topology.faces,
                COARSE_SIZE,
                COARSE_SIZE,
                perspective_correct=True,
                backend=rig.parts.rasterizer,
            )
            normals = annotate.normal_map(
                fragments, mesh_gen.vertices, mesh_gen.topology, camera
            ).cpu()
            ids = annotate.region_ids(fragments, rig.head.face_regions)
            keypoints = annotate.keypoints(mesh_gen.landmarks, camera, fragments)
            files = {
                "images": _shaded(normals[0].numpy(), fragments.covered[0].cpu().numpy()),
                "seg": annotate.segmentation(ids)[0].cpu().numpy(),
                "depth": annotate.depth8(fragments)[0][0].cpu().numpy(),
                "seg_id": ids[0].cpu().numpy(),
            }
            points = {
                "2d_kps": keypoints.px[0].cpu().numpy(),
                "kps_visible": keypoints.visible[0].cpu().numpy(),
            }
            return Coarse(
                Sample(id.index, files, points),
                mesh_flame.vertices[0].cpu().numpy(),
                mesh_flame.topology.faces.cpu().numpy().astype(np.uint32),
            )

    def full(self, view: View) -> Sample:
        """The sample that the view's command draws, with seg_id, depth16 and seg_visible.

        Raises ConfigError for a view that makes no recipe, DatasetError for an image of NaN.
        """
        with self._lock:
            id, rig = self._set_up(view)
            samples, _ = make_samples([id], rig, _EXTRAS)
        if not samples:
            raise DatasetError("the generator drew an image that is not finite; move a slider")
        return samples[0]

    def recipe(self, view: View) -> str:
        """The recipe, below the command that it is for."""
        command = view.command(self.known, self.rig.parts)
        return f"# {command}\n{view.recipe(self.known)}"

    def save_sample(self, view: View, root: Path) -> Path:
        """Write the sample's files and its recipe into a new folder at `root`, which it returns.

        The files are those that a dataset holds. Raises as `full`, and OSError.
        """
        folders = (*CORE, *_EXTRAS, ANNOTATIONS)
        contents = encode_sample(self.full(view), folders)
        path = _first_free(root, "")
        with folder_appearing(path) as folder:
            for name, content in contents.items():
                suffix = ".json" if name == ANNOTATIONS else ".png"
                write_whole(folder / f"{name}{suffix}", content)
            write_whole(folder / "recipe.toml", self.recipe(view).encode())
        return path

    def save_mesh(self, view: View, root: Path) -> Path:
        """Write the posed head in metres as a GLB file at `root`; returns its path."""
        coarse = self.coarse(view)
        normals = vertex_normals(
            torch.from_numpy(coarse.vertices_m), self.rig.head.topology.to("cpu")
        )
        root.mkdir(parents=True, exist_ok=True)
        path = _first_free(root, ".glb")
        write_whole(path, encode_glb(coarse.vertices_m, normals.numpy(), coarse.faces))
        return path

    def _set_up(self, view: View) -> tuple[SampleId, Rig]:
        """The view's id, and the rig with its recipe."""
        overrides: dict[str, Any] = recipe_overrides(tomllib.loads(view.recipe(self.known)))
        rig = replace(
            self.rig,
            sampling=self.known.sampling_with(overrides),
            parts=replace(self.rig.parts, sampling_overrides=overrides),
        )
        return view.sample_id(self.known), rig


def _first_free(root: Path, suffix: str) -> Path:
    paths = (root / f"face_{number:04}{suffix}" for number in count())
    return next(path for path in paths if not path.exists())


def _shaded(normals8: NDArray[np.uint8], covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A head lit from the camera, of a normal map: uint8 [H, W, 3]."""
    facing = 1 - normals8[..., 2:] / 127.5  # z points away from the camera
    image = np.array([225, 185, 165]) * (0.25 + 0.75 * facing.clip(0, 1))
    image[~covered] = 60
    return image.astype(np.uint8)
