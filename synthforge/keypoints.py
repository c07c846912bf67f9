"""Keypoint schemes: points on a head's triangles, by name.

ibug70 is the 68 and the pupils; wflw98 WFLW's layout; mediapipe468 MediaPipe's face mesh, and
mediapipe478 that with the irises; vertices every vertex of the head. Where a scheme has a right and
a left eye, the subject's right one comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flame_pytorch.flame import contour_row
from flame_pytorch.lbs import compose
from flame_pytorch.model import FloatArray, HeadModel, IntArray, LandmarkEmbedding
from synthforge.camera import Camera
from synthforge.landmarks import FLIP, IRIS_FLIP, WFLW_FLIP
from synthforge.regions import REGION_ID

_NECK = 1
# Joints of the eyes, and the regions of their eyeballs: the right one first.
_EYES = ((4, "right_eyeball"), (3, "left_eyeball"))
_EYEBALLS = [REGION_ID[name] for _, name in _EYES]


@dataclass(frozen=True)
class Scheme:
    """N points, of which the first C lie on the face's outline as it is seen.

    contour_faces: int64 [79, C] and contour_bary: float32 [79, C, 3], a row for each degree of the
    head's yaw, as `flame_pytorch.LandmarkEmbedding` has them; C may be 0.
    faces: int64 [N - C]. bary: float32 [N - C, 3].
    flip: int64 [N], where each point is when the image is mirrored; empty where that is not known.
    """

    contour_faces: Tensor
    contour_bary: Tensor
    faces: Tensor
    bary: Tensor
    flip: Tensor

    def __len__(self) -> int:
        return self.contour_faces.shape[1] + len(self.faces)

    @property
    def outline(self) -> slice:
        return slice(0, self.contour_faces.shape[1])

    def to(self, device: torch.device | str) -> Scheme:
        return replace(self, **{e.name: getattr(self, e.name).to(device) for e in fields(self)})

    def points(self, vertices: Tensor, faces: Tensor, rows: Tensor) -> Tensor:
        """[B, N, 3] on heads of vertices [B, V, 3] and triangles [F, 3]. rows: int64 [B]."""
        batch = len(vertices)
        ours = torch.cat([self.contour_faces[rows], self.faces.expand(batch, -1)], 1)
        bary = torch.cat([self.contour_bary[rows], self.bary.expand(batch, -1, -1)], 1)
        sample = torch.arange(batch, device=vertices.device)[:, None, None]
        a, b, c = vertices[sample, faces[ours]].unbind(2)
        return bary[..., 0:1] * a + bary[..., 1:2] * b + bary[..., 2:3] * c

    def on_eyeballs(self, face_regions: Tensor) -> Tensor:
        """Which points lie on an eyeball, bool [N]. face_regions: [F]."""
        regions = face_regions[torch.cat([self.contour_faces[0], self.faces])]
        return (regions == _EYEBALLS[0]) | (regions == _EYEBALLS[1])


def outline_rows(R_flame: Tensor, camera: Camera) -> Tensor:
    """The row of each head's outline, int64 [B]. R_flame: rotations of its joints [B, 5, 3, 3]."""
    return contour_row(compose(camera.R_view_gen, R_flame[:, _NECK]))


def scheme_of(
    faces: NDArray[Any],
    bary: NDArray[Any],
    flip: NDArray[Any],
    contour: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Scheme:
    """A scheme from numpy arrays: faces [N], bary [N, 3], flip [N] or empty.

    contour: rows by the head's yaw, faces [79, K] and barycentrics [79, K, 3]; none if None.
    """
    if contour is None:
        contour = np.zeros((79, 0)), np.zeros((79, 0, 3))
    return Scheme(
        torch.from_numpy(contour[0].astype(np.int64)),
        torch.from_numpy(contour[1].astype(np.float32)),
        torch.from_numpy(faces.astype(np.int64)),
        torch.from_numpy(bary.astype(np.float32)),
        torch.from_numpy(flip.astype(np.int64)),
    )


def ibug70(embedding: LandmarkEmbedding, pupils: tuple[NDArray[Any], NDArray[Any]]) -> Scheme:
    """The 68 points and the pupils, right and left."""
    return scheme_of(
        np.concatenate([embedding.static_faces, pupils[0]]),
        np.concatenate([embedding.static_bary, pupils[1]]),
        np.array([*FLIP, 69, 68]),
        (embedding.contour_faces, embedding.contour_bary),
    )


def wflw98(
    faces: NDArray[Any],
    bary: NDArray[Any],
    contour: tuple[NDArray[Any], NDArray[Any]],
    pupils: tuple[NDArray[Any], NDArray[Any]],
) -> Scheme:
    """Contour, the 63 points 33-95, pupils."""
    return scheme_of(
        np.concatenate([faces, pupils[0]]),
        np.concatenate([bary, pupils[1]]),
        np.array(WFLW_FLIP),
        contour,
    )


def mediapipe478(mesh: Scheme, irises: tuple[NDArray[Any], NDArray[Any]]) -> Scheme:
    """The 468 points of `mesh`, then of each iris its centre, right, top, left and bottom."""
    return replace(
        mesh,
        faces=torch.cat([mesh.faces, torch.from_numpy(irises[0].astype(np.int64))]),
        bary=torch.cat([mesh.bary, torch.from_numpy(irises[1].astype(np.float32))]),
        flip=torch.cat([mesh.flip, len(mesh) + torch.tensor(IRIS_FLIP)]),
    )


def every_vertex(faces: IntArray, count: int, flip: NDArray[Any] | None = None) -> Scheme:
    """The vertices 0 to count - 1 of triangles [F, 3]. Raises ValueError if one has no triangle."""
    corner = np.full(count, -1)
    corner[faces.ravel()[::-1]] = np.arange(faces.size)[::-1]
    if (corner < 0).any():
        raise ValueError(f"vertex {corner.argmin()} belongs to no triangle")
    flip = np.zeros(0) if flip is None else flip
    return scheme_of(corner // 3, np.eye(3)[corner % 3], flip)


def free_schemes(
    model: HeadModel, embedding: LandmarkEmbedding, face_regions: IntArray, joints: FloatArray
) -> dict[str, Scheme]:
    """What a head has with no embedding but its own 68: the pupils by its eyes' joints (5, 3), if
    it has eyeballs, and the vertices, if each belongs to a triangle."""
    schemes = {}
    if np.isin(_EYEBALLS, face_regions).all():
        pupils = leaving_eyeballs(
            model.v_template, model.faces, face_regions, joints, np.zeros((1, 2))
        )
        schemes["ibug70"] = ibug70(embedding, pupils)
    if len(np.unique(model.faces)) == len(model.v_template):
        schemes["vertices"] = every_vertex(model.faces, len(model.v_template))
    return schemes


def leaving_eyeballs(
    vertices: FloatArray,
    faces: IntArray,
    face_regions: IntArray,
    joints: FloatArray,
    tilts: FloatArray,
) -> tuple[IntArray, FloatArray]:
    """Where rays from the eyes' joints leave the eyeballs: triangles [2 K] and barycentrics.

    vertices: (V, 3) at rest. joints: (5, 3). tilts: (K, 2), x and y of the rays' unit directions;
    z points out of the face. K points of the right eye come first.
    """
    found, weights = [], []
    for joint, name in _EYES:
        ball = np.flatnonzero(face_regions == REGION_ID[name])
        a, b, c = (vertices[faces[ball, k]].astype(np.float64) - joints[joint] for k in range(3))
        normal = np.cross(b - a, c - a)
        for x, y in tilts:
            ray = np.array([x, y, np.sqrt(1 - x * x - y * y)])
            slope = normal[:, 0] * ray[0] + normal[:, 1] * ray[1] + normal[:, 2] * ray[2]
            facing = slope > 1e-12 * abs(normal).max()
            hit = (normal * a).sum(1) / np.where(facing, slope, np.inf)
            points = hit[:, None] * ray
            squared = (normal * normal).sum(1)
            w1 = (np.cross(points - a, c - a) * normal).sum(1) / squared
            w2 = (np.cross(b - a, points - a) * normal).sum(1) / squared
            bary = np.stack([1 - w1 - w2, w1, w2], -1)
            # On an edge rounding may leave it outside of both triangles.
            best = int(np.where(facing & (hit > 0), bary.min(1), -np.inf).argmax())
            inside = bary[best].clip(0, 1)
            found.append(ball[best])
            weights.append(inside / inside.sum())
    return np.array(found), np.stack(weights)
