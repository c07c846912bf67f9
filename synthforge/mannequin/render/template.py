"""The built head as tensors: what every stage of the renderer reads."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthforge.landmarks import LEFT_BROW
from synthforge.mannequin.head.baked import Piece, baked_head
from synthforge.mannequin.render.arithmetic import mean
from synthforge.mannequin.render.fields import smooth_curve
from synthforge.mesh import Topology, vertex_normals
from synthforge.regions import REGION_ID


@dataclass(frozen=True)
class Template:
    """The average adult, neutral. Metres, FLAME frame.

    vertices: float32 [V, 3]; normals: float32 [V, 3], unit.
    faces, uv_faces: int64 [F, 3]; uvs: float32 [T, 2], v running up.
    region: int64 [F], region ids of synthforge.regions.
    piece: int64 [V], values of baked.Piece. eyeball: bool [V].
    eye_local: float32 [V, 3], position from the centre of the own eyeball in eyeball radii
        (z forward); 0 elsewhere.
    in_mouth: bool [V], behind the lips: the cavity, teeth, tongue.
    skull: int64 [N], vertices that move with the skull only.
    landmarks: float32 [68, 3].
    """

    vertices: Tensor
    normals: Tensor
    faces: Tensor
    uvs: Tensor
    uv_faces: Tensor
    region: Tensor
    piece: Tensor
    eyeball: Tensor
    eye_local: Tensor
    in_mouth: Tensor
    skull: Tensor
    landmarks: Tensor

    @functools.cached_property
    def topology(self) -> Topology:
        return Topology(self.faces, self.uvs, self.uv_faces)

    @functools.cached_property
    def eye(self) -> Tensor:
        """int64 [F], 0 none, 1 right eyeball, 2 left eyeball."""
        piece = self.piece[self.faces[:, 0]]
        return (piece == Piece.RIGHT_EYEBALL).long() + 2 * (piece == Piece.LEFT_EYEBALL).long()


# From the landmarks of the left brow to its middle, metres.
_TO_BROW = (
    (0.0040, -0.0010, 0.0), (0.0015, -0.0035, 0.0), (0.0000, -0.0040, 0.0),
    (-0.0020, -0.0028, 0.0), (-0.0030, 0.0022, 0.0),
)  # fmt: skip


def brow_curve() -> Tensor:
    """Middle of the subject's left brow, inner to outer end: float32 [33, 3].

    Annotators put the brow's landmarks on its upper edge, and the outermost beyond its ends.
    """
    return smooth_curve(template().landmarks[LEFT_BROW] + torch.tensor(_TO_BROW), 33)


@functools.cache
def template() -> Template:
    """The built-in head, on the CPU as all that draws it."""
    head = baked_head()
    vertices = torch.from_numpy(head.adult)
    faces = torch.from_numpy(head.model.faces)
    uvs, uv_faces = torch.from_numpy(head.uvs), torch.from_numpy(head.uv_faces)
    piece = torch.from_numpy(head.vertex_piece)
    points = head.embedding
    landmark_faces = np.concatenate([points.contour_faces[0], points.static_faces])
    landmark_bary = np.concatenate([points.contour_bary[0], points.static_bary])
    corners = head.adult[head.model.faces[landmark_faces]]

    eye_local = torch.zeros_like(vertices)
    for side in (Piece.RIGHT_EYEBALL, Piece.LEFT_EYEBALL):
        ball = (piece == side).nonzero().squeeze(1)
        low, high = vertices[ball].amin(0), vertices[ball].amax(0)
        eye_local[ball] = (vertices[ball] - (low + high) / 2) / (mean(high - low, 0) / 2)
    eyeball = (piece == Piece.RIGHT_EYEBALL) | (piece == Piece.LEFT_EYEBALL)
    region = torch.from_numpy(head.face_region)
    in_mouth = torch.ones(len(vertices), dtype=torch.bool)
    in_mouth[faces[region != REGION_ID["inner_mouth"]]] = False
    with_skull = torch.from_numpy(head.model.weights[:, 1] > 0.999)
    return Template(
        vertices=vertices,
        normals=vertex_normals(vertices, Topology(faces, uvs, uv_faces)),
        faces=faces,
        uvs=uvs,
        uv_faces=uv_faces,
        region=region,
        piece=piece,
        eyeball=eyeball,
        eye_local=eye_local,
        in_mouth=in_mouth,
        skull=with_skull.nonzero().squeeze(1),
        landmarks=torch.from_numpy((corners * landmark_bary[..., None]).sum(1)).float(),
    )
