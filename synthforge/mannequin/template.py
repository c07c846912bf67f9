"""The built head as tensors: what every stage of the renderer reads."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from synthforge.landmarks import LEFT_BROW
from synthforge.mannequin.arithmetic import mean
from synthforge.mannequin.build import build_head
from synthforge.mannequin.fields import smooth_curve
from synthforge.mannequin.parts import Part
from synthforge.mesh import Topology, vertex_normals


@dataclass(frozen=True)
class Template:
    """The neutral head. Metres, FLAME frame.

    vertices: float32 [V, 3]; normals: float32 [V, 3], unit.
    faces, uv_faces: int64 [F, 3]; uvs: float32 [T, 2], v running up.
    region: int64 [F], region ids of synthforge.regions.
    part: int64 [V], values of parts.Part. eyeball: bool [V].
    eye_local: float32 [V, 3], position from the centre of the own eyeball in eyeball radii
        (z forward); 0 elsewhere.
    skull, trunk: int64 [N], vertices that move with the skull only, with the body only.
    landmarks: float32 [68, 3].
    """

    vertices: Tensor
    normals: Tensor
    faces: Tensor
    uvs: Tensor
    uv_faces: Tensor
    region: Tensor
    eyeball: Tensor
    part: Tensor
    eye_local: Tensor
    skull: Tensor
    trunk: Tensor
    landmarks: Tensor

    @functools.cached_property
    def topology(self) -> Topology:
        return Topology(self.faces, self.uvs, self.uv_faces)

    def to(self, device: torch.device | str) -> Template:
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def brow_curve(head: Template) -> Tensor:
    """Middle of the subject's left brow, inner to outer end: float32 [33, 3].

    Annotators put the brow's landmarks on its upper half.
    """
    lower = head.landmarks.new_tensor([0.0, 0.0013, 0.0])
    return smooth_curve(head.landmarks[LEFT_BROW] - lower, 33)


@functools.cache
def template(device: torch.device | str = "cpu") -> Template:
    """The built-in head on `device`."""
    if torch.device(device).type != "cpu":
        return template("cpu").to(device)
    head = build_head()
    model = head.model
    vertices = torch.from_numpy(np.asarray(model.v_template)).float()
    faces = torch.from_numpy(np.asarray(model.faces)).long()
    uvs = torch.from_numpy(np.asarray(head.uvs)).float()
    uv_faces = torch.from_numpy(np.asarray(head.uv_faces)).long()
    region = torch.from_numpy(np.asarray(head.face_region)).long()
    part = torch.from_numpy(head.vertex_part)
    landmark_faces = np.concatenate([head.embedding.contour_faces[0], head.embedding.static_faces])
    landmark_bary = np.concatenate([head.embedding.contour_bary[0], head.embedding.static_bary])
    corners = np.asarray(model.v_template)[np.asarray(model.faces)[landmark_faces]]
    landmarks = torch.from_numpy((corners * landmark_bary[..., None]).sum(1)).float()

    eye_local = torch.zeros_like(vertices)
    for side in (Part.RIGHT_EYEBALL, Part.LEFT_EYEBALL):
        ball = (part == side).nonzero().squeeze(1)
        low, high = vertices[ball].amin(0), vertices[ball].amax(0)
        radius = mean((high - low)[:2], 0) / 2
        # The cornea bulges, so the centre in z is one radius in front of the back pole.
        center = torch.stack([*((low + high) / 2)[:2], low[2] + radius])
        eye_local[ball] = (vertices[ball] - center) / radius
    eyeball = (part == Part.RIGHT_EYEBALL) | (part == Part.LEFT_EYEBALL)
    weights = np.asarray(model.weights)
    skull = torch.from_numpy((weights[:, 1] > 0.999) & ~eyeball.numpy()).nonzero().squeeze(1)
    low = vertices[:, 1] < vertices[:, 1].amin() + 0.02
    return Template(
        vertices=vertices,
        normals=vertex_normals(vertices, Topology(faces, uvs, uv_faces)),
        faces=faces,
        uvs=uvs,
        uv_faces=uv_faces,
        region=region,
        eyeball=eyeball,
        part=part,
        eye_local=eye_local,
        skull=skull,
        trunk=low.nonzero().squeeze(1),
        landmarks=landmarks,
    )
