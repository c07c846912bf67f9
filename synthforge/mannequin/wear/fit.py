"""Where things rest on a posed head: its skin seen from the front and the sides, and anchors."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthforge.mannequin.hair.scalp import Head
from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.render.arithmetic import dot, mean
from synthforge.mannequin.render.maps import read
from synthforge.mannequin.render.template import Template, template
from synthforge.mannequin.wear.shapes import Shape
from synthforge.rasterizer import rasterize
from synthforge.regions import REGION_ID

# Half the width of the maps and their middle, metres on a head of the template's size.
_EXTENT_M = 0.085
_FRONT_SIZE, _SIDE_SIZE = 128, 64
_FRONT_Y, _SIDE_Y, _SIDE_Z = -0.010, 0.010, -0.030
_EMPTY = -0.2


@dataclass(frozen=True)
class Fit:
    """A posed head in its own frame (see scalp.Head), metres.

    eyes: [2, 3], centres of the right and the left eyeball. landmarks: [68, 3].
    on_skin: shapes that lie on the skin, as what lies in front sees it.
    """

    head: Head
    eyes: Tensor
    landmarks: Tensor
    on_skin: tuple[Shape, ...] = ()

    @functools.cached_property
    def front(self) -> Tensor:
        """[1, S, S], z of the skin over x (columns, from +x) and y (rows, downwards)."""
        front = self._front(self.head.vertices, _seen_faces()[0])
        for shape in self.on_skin:
            front = torch.maximum(front, self._front(shape.vertices, shape.faces))
        return front

    @functools.cached_property
    def sides(self) -> tuple[Tensor, Tensor]:
        """Right and left: |x| of the skin without ears over z (columns, from +z) and y (rows)."""
        x, y, z = self.head.vertices.unbind(1)
        _, *faces = _seen_faces()
        right, left = (
            _map(z - _SIDE_Z, y - _SIDE_Y, out, side, _SIDE_SIZE)
            for out, side in zip((-x, x), faces, strict=True)
        )
        return right, left

    def front_z(self, x: Tensor, y: Tensor) -> Tensor:
        """z of the foremost skin at x, y [N]: [N]; far behind where there is none."""
        return _height(self.front, x, y - _FRONT_Y)

    def side_x(self, left: bool, y: Tensor, z: Tensor) -> Tensor:
        """|x| of the outermost skin beside the head, without its ear, at y, z [N]: [N]."""
        return _height(self.sides[left], z - _SIDE_Z, y - _SIDE_Y)

    def clear_of_ear(self, left: bool, points: Tensor, least: Tensor) -> Tensor:
        """Points [N, 3] moved at least so far [N] off the ear and the skin round it."""
        index = _near_ear(left).to(points.device)
        skin, normals = self.head.vertices[index], self.head.normals[index]
        for _ in range(3):
            points = _clear_of(points, least, skin, normals)
        return points

    def over(self, shape: Shape) -> Fit:
        """With a shape on the skin."""
        return replace(self, on_skin=(*self.on_skin, shape))

    @staticmethod
    def _front(vertices: Tensor, faces: Tensor) -> Tensor:
        x, y, z = vertices.unbind(1)
        return _map(x, y - _FRONT_Y, z, faces, _FRONT_SIZE)

    def at(self, places: tuple[tuple[float, float, float], ...]) -> tuple[Tensor, Tensor]:
        """Skin vertices nearest to places on the template, posed, and their normals: [N, 3] each"""
        index = _nearest(places).to(self.head.vertices.device)
        return self.head.vertices[index], self.head.normals[index]


def fit_of(head: Template, own: Head, landmarks: Tensor) -> Fit:
    """landmarks: [68, 3] in the head's own frame."""
    eyes = [
        mean(own.vertices[head.piece == side], 0)
        for side in (Piece.RIGHT_EYEBALL, Piece.LEFT_EYEBALL)
    ]
    return Fit(own, torch.stack(eyes), landmarks)


def _map(across: Tensor, up: Tensor, height: Tensor, faces: Tensor, size: int) -> Tensor:
    """The greatest height over a square, [1, size, size]."""
    ndc = torch.stack([across / _EXTENT_M, up / _EXTENT_M, 1 - height], 1)[None]
    seen = rasterize(ndc, faces, size, size, perspective_correct=False)
    return torch.where(seen.covered, 1 - seen.z, _EMPTY)


def _height(heights: Tensor, across: Tensor, up: Tensor) -> Tensor:
    half = heights.shape[-1] / 2
    column, row = ((1 - axis / _EXTENT_M) * half - 0.5 for axis in (across, up))
    return read(heights, column, row)[0]


@functools.cache
def _seen_faces() -> tuple[Tensor, Tensor, Tensor]:
    """Faces [F, 3] of the three maps."""
    head = template()
    center = mean(head.vertices[head.faces], 1)
    x, y, z = center.unbind(1)
    ears = torch.tensor([REGION_ID["left_ear"], REGION_ID["right_ear"]])
    outside = (head.piece[head.faces[:, 0]] == Piece.SKIN) & ~torch.isin(head.region, ears)
    outside &= head.region != REGION_ID["inner_mouth"]
    front = outside & (z > -0.03) & (y > -0.13)
    beside = outside & (y > -0.09) & (y < 0.11)
    return (
        head.faces[front],
        head.faces[beside & (x < -0.025)],
        head.faces[beside & (x > 0.025)],
    )


def _clear_of(points: Tensor, least: Tensor, skin: Tensor, normals: Tensor) -> Tensor:
    offset = points[:, None] - skin
    near = dot(offset, offset).argmin(1)
    gap = dot(points - skin[near], normals[near])
    return points + (least - gap).clamp(min=0)[:, None] * normals[near]


@functools.cache
def _near_ear(left: bool) -> Tensor:
    """int64 [N], skin vertices of and round an ear."""
    head = template()
    x, y, z = head.vertices.unbind(1)
    beside = (x if left else -x) > 0.05
    near = beside & ((y - 0.005).abs() < 0.040) & ((z + 0.060).abs() < 0.032)
    return torch.nonzero(near & (head.piece == Piece.SKIN)).squeeze(1)


@functools.cache
def _nearest(places: tuple[tuple[float, float, float], ...]) -> Tensor:
    head = template()
    skin = torch.nonzero(head.piece == Piece.SKIN).squeeze(1)
    offset = head.vertices[skin][:, None] - torch.tensor(places)
    return skin[dot(offset, offset).argmin(0)]
