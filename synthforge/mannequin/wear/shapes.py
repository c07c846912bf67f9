"""Meshes that worn things are made of: swept profiles, sheets, balls."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.render.arithmetic import cosine, dot, sine, steps
from synthforge.mesh import cross, unit


@dataclass(frozen=True)
class Shape:
    """vertices: float32 [V, 3]. faces: int64 [F, 3], counter-clockwise seen from outside."""

    vertices: Tensor
    faces: Tensor

    def mirrored(self) -> Shape:
        """In the plane x = 0."""
        flip = self.vertices.new_tensor((-1.0, 1.0, 1.0))
        return Shape(self.vertices * flip, self.faces.flip(1))


def joined(shapes: list[Shape]) -> Shape:
    """One Shape of several."""
    faces, first = [], 0
    for shape in shapes:
        faces.append(shape.faces + first)
        first += len(shape.vertices)
    return Shape(torch.cat([shape.vertices for shape in shapes]), torch.cat(faces))


def ring(count: int, width: float, height: float, square: float = 0.0) -> Tensor:
    """An ellipse [count, 2], counter-clockwise; square: 0 an ellipse to 1 nearly a rectangle."""
    angle = steps(0, 2 * math.pi * (1 - 1 / count), count) + math.pi / count
    point = torch.stack([cosine(angle), sine(angle)], 1)
    largest = point.abs().amax(1, keepdim=True)
    point = point * (1 - square + square / largest)
    return point * point.new_tensor((width / 2, height / 2))


def swept(path: Tensor, up: Tensor, profile: Tensor, closed: bool = False) -> Shape:
    """A profile carried along a path.

    path: [N, 3]. up: [N, 3], near the direction of the profile's second axis. profile: [M, 2] or
    [N, M, 2], counter-clockwise, convex where the path's open ends are closed with it.
    """
    if closed:
        tangent = path.roll(-1, 0) - path.roll(1, 0)
    else:
        tangent = torch.cat([path[1:], path[-1:]]) - torch.cat([path[:1], path[:-1]])
    tangent = unit(tangent)
    up = unit(up - dot(up, tangent)[:, None] * tangent)
    side = cross(up, tangent)
    profile = profile.expand(len(path), *profile.shape[-2:])
    offset = profile[..., :1] * side[:, None] + profile[..., 1:] * up[:, None]
    vertices = (path[:, None] + offset).flatten(0, 1)
    return Shape(vertices, _tube_faces(len(path), profile.shape[1], closed).to(path.device))


def tube(points: Tensor) -> Shape:
    """A skin over rings of points [R, C, 3], its first and last ring closed flat.

    Seen from outside columns run counter-clockwise round the way from the first ring to the last.
    """
    rows, columns = points.shape[:2]
    return Shape(points.flatten(0, 1), _tube_faces(rows, columns, False).to(points.device))


def torus(points: Tensor) -> Shape:
    """As `tube`, the last ring joined to the first."""
    rows, columns = points.shape[:2]
    return Shape(points.flatten(0, 1), _tube_faces(rows, columns, True).to(points.device))


def sheet(points: Tensor, thickness: float, normals: Tensor) -> Shape:
    """A closed plate: points [R, C, 3] and as much behind them.

    normals: [R, C, 3], out of the front, from which columns run to the right and rows down.
    """
    rows, columns = points.shape[:2]
    both = torch.cat([points.flatten(0, 1), (points - thickness * normals).flatten(0, 1)])
    return Shape(both, _sheet_faces(rows, columns).to(points.device))


def ball(center: Tensor, axes: Tensor, rows: int = 7, columns: int = 10) -> Shape:
    """An ellipsoid; axes: [3, 3], rows are its half axes, right-handed."""
    polar = steps(0, math.pi, rows)[:, None]
    azimuth = steps(0, 2 * math.pi * (1 - 1 / columns), columns)
    level = sine(polar)
    up = cosine(polar).expand(-1, columns)
    local = torch.stack([level * cosine(azimuth), up, level * sine(azimuth)], -1).view(-1, 3)
    local = local.to(center.device)
    x, y, z = local.unbind(1)
    points = x[:, None] * axes[0] + y[:, None] * axes[1] + z[:, None] * axes[2]
    return Shape(center + points, _ball_faces(rows, columns).to(center.device))


@functools.cache
def _tube_faces(rows: int, columns: int, closed: bool) -> Tensor:
    faces = []
    for i in range(rows if closed else rows - 1):
        for j in range(columns):
            a, b = i * columns + j, i * columns + (j + 1) % columns
            c, d = ((i + 1) % rows * columns + k % columns for k in (j, j + 1))
            faces += [(a, b, d), (a, d, c)]
    if not closed:
        last = (rows - 1) * columns
        for j in range(1, columns - 1):
            faces += [(0, j + 1, j), (last, last + j, last + j + 1)]
    return torch.tensor(faces)


@functools.cache
def _sheet_faces(rows: int, columns: int) -> Tensor:
    faces, behind = [], rows * columns

    def quad(a: int, b: int, c: int, d: int) -> None:
        faces.extend([(a, b, c), (a, c, d)])

    for i in range(rows - 1):
        for j in range(columns - 1):
            a, b, c, d = _corners(i, j, columns)
            quad(a, d, c, b)
            quad(*(k + behind for k in (a, b, c, d)))
    edge = [(0, j) for j in range(columns)]
    edge += [(i, columns - 1) for i in range(1, rows)]
    edge += [(rows - 1, j) for j in range(columns - 2, -1, -1)]
    edge += [(i, 0) for i in range(rows - 2, 0, -1)]
    index = [i * columns + j for i, j in edge]
    for a, b in zip(index, index[1:] + index[:1], strict=True):
        quad(a, b, b + behind, a + behind)
    return torch.tensor(faces)


def _corners(i: int, j: int, columns: int) -> tuple[int, int, int, int]:
    """Indices of a cell's corners: upper left, upper right, lower right, lower left."""
    a = i * columns + j
    return a, a + 1, a + columns + 1, a + columns


@functools.cache
def _ball_faces(rows: int, columns: int) -> Tensor:
    faces = []
    for i in range(rows - 1):
        for j in range(columns):
            a, b = i * columns + j, i * columns + (j + 1) % columns
            c, d = a + columns, b + columns
            faces += [(a, b, d), (a, d, c)]
    return torch.tensor(faces)
