"""Collars of shirts and hoods of sweaters: cloth round the neck, over the painted clothes."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from synthforge.mannequin.draws import RGB
from synthforge.mannequin.hair.scalp import Head
from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.arithmetic import atan2, cosine, sine, steps
from synthforge.mannequin.render.body import neck_y
from synthforge.mannequin.render.fields import smoothstep
from synthforge.mannequin.render.maps import read
from synthforge.mannequin.render.template import template
from synthforge.mannequin.wear.parts import CLOTH, Part
from synthforge.mannequin.wear.shapes import ring, sheet, swept
from synthforge.mesh import cross, unit
from synthforge.visible import CLOTHES

# Kinds of Person.collar that are built; all others are painted.
COLLARS = ("shirt", "hood")
_COLUMNS = 64
_CORD: RGB = (0.60, 0.59, 0.56)
# The neck's axis on the template, about its radius, and the map of its skin: heights over where
# neck and trunk meet, metres; rows and columns.
_AXIS_Z, _RADIUS = -0.075, 0.062
_LOW, _HIGH = -0.16, 0.06
_MAP = (45, 73)
_NEAREST = 6


def collar(person: Person, own: Head) -> list[Part]:
    """What lies round the neck of one who wears one of COLLARS, fitted to the posed head."""
    return _shirt(person, own) if person.collar == "shirt" else _hood(person, own)


def _shirt(person: Person, own: Head) -> list[Part]:
    """A band that stands round the neck, and the leaf that is folded out over it."""
    skin, loose = _skin(own), person.neckline
    gap = 0.16 + 0.14 * loose
    angle = steps(gap, 2 * math.pi - gap, _COLUMNS)
    side = torch.sign(math.pi - angle)
    # 1 at the open ends, 0 from the sides on.
    front = smoothstep(1.3, gap, math.pi - (angle - math.pi).abs())
    band, leaf = 0.030 - 0.004 * front, 0.033 + (0.018 + 0.014 * loose) * front * front
    off = 0.0035 + 0.003 * loose
    # From inside of the band over the fold to the leaf's edge: shares of the band's height, metres
    # off the skin.
    up = ((-0.2, 0.0), (0.3, 0.0), (0.65, 0.0), (0.92, 0.001), (1.02, 0.004), (0.94, 0.0075))
    rows = [_off(skin, angle, share * band, off + more) for share, more in up]
    for share in (0.2, 0.4, 0.6, 0.8, 1.0):
        # The leaf's points spread, and lie on the chest.
        towards = angle + side * (0.22 + 0.14 * loose) * share * front
        rows.append(_off(skin, towards, 0.9 * band - share * leaf, off + 0.0085 + 0.001 * share))
    cloth = torch.stack(rows)
    beside = torch.cat([cloth[:, 1:], cloth[:, -1:]], 1) - torch.cat(
        [cloth[:, :1], cloth[:, :-1]], 1
    )
    shape = sheet(cloth, 0.0018, unit(cross(_ahead(cloth), beside)))
    light = torch.tensor([0.3, 0.4, 0.55, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0, 0.95, 0.8])
    shade = torch.cat([light, 0.5 * light]).repeat_interleave(_COLUMNS)
    return [Part(CLOTHES, shape, person.clothing, CLOTH, shade)]


def _hood(person: Person, own: Head) -> list[Part]:
    """A roll of cloth on the shoulders, thickest behind, and the cords that hang from it."""
    skin, full = _skin(own), person.neckline
    angle = steps(0, 2 * math.pi * (1 - 1 / _COLUMNS), _COLUMNS)
    behind = 0.5 - 0.5 * cosine(angle)
    folds = 1 + (0.16 * sine(5 * angle + 6 * full) + 0.10 * sine(11 * angle - 6 * full)) * behind
    thick = (0.006 + (0.014 + 0.008 * full) * smoothstep(0.05, 0.8, behind)) * folds
    height = 0.006 * behind - 0.026 * smoothstep(0.35, 0.0, behind)
    path = _off(skin, angle, height, 0.8 * thick + 0.002)
    upward = unit(path - _off(skin, angle, height - 0.03, 0.002))
    profile = ring(14, 1.0, 1.0)
    wide, tall = (1.6 * thick)[:, None], (2.0 * thick + 0.004)[:, None]
    profiles = torch.stack([profile[:, 0] * wide, profile[:, 1] * tall], -1)
    shape = swept(path, upward, profiles, closed=True)
    # Little light gets between it and the neck.
    shade = (1 - 1.2 * profile[:, 0].clamp(min=0)).repeat(_COLUMNS)
    parts = [Part(CLOTHES, shape, person.clothing, CLOTH, shade)]
    along = steps(0, 1, 12)
    for side in (-1.0, 1.0):
        reach = 0.050 + 0.035 * (full if side > 0 else 1 - full)
        cord = _off(skin, side * (0.34 - 0.05 * along), -0.024 - reach * along, 0.0085)
        forward = cord.new_tensor((0.0, 0.0, 1.0)).expand_as(cord)
        parts.append(Part(CLOTHES, swept(cord, forward, ring(6, 0.0036, 0.0036)), _CORD, CLOTH))
    return parts


def _ahead(cloth: Tensor) -> Tensor:
    """Differences along the rows of [R, C, 3]."""
    return torch.cat([cloth[1:], cloth[-1:]]) - torch.cat([cloth[:1], cloth[:-1]])


def _skin(own: Head) -> Tensor:
    """Posed skin of neck and chest and its normals, [6, H, W]: see _MAP; from -pi to pi."""
    index, weight = _around_neck()
    values = torch.cat([own.vertices, own.normals], 1)[index] * weight[..., None]
    total = values[:, 0]
    for k in range(1, _NEAREST):
        total = total + values[:, k]
    return total.T.contiguous().view(6, *_MAP)


def _off(skin: Tensor, angle: Tensor, height: Tensor, off: Tensor | float) -> Tensor:
    """Points [N, 3] so far off the skin.

    angle: [N], round the neck from the front over the subject's left, radians. height: [N], metres
    over where neck and trunk meet. off: metres, [N] or one.
    """
    turn = angle * (1 / (2 * math.pi)) + 0.5
    column = (turn - turn.floor()) * (_MAP[1] - 1)
    row = (_HIGH - height) * ((_MAP[0] - 1) / (_HIGH - _LOW))
    values = read(skin, column, row).T
    return values[:, :3] + torch.as_tensor(off).expand(len(angle))[:, None] * unit(values[:, 3:])


@functools.cache
def _around_neck() -> tuple[Tensor, Tensor]:
    """For each cell of the map the nearest vertices, int64 [H * W, K], and their weights."""
    head = template()
    x, y, z = head.vertices.unbind(1)
    near = (head.piece == Piece.SKIN) & (y < -0.08) & (x.abs() < 0.15)
    index = torch.nonzero(near).squeeze(1)
    x, y, z = head.vertices[index].unbind(1)
    angle, height = atan2(x, z - _AXIS_Z), y - neck_y(x, z)
    column = steps(-math.pi, math.pi, _MAP[1])[None, :, None]
    row = steps(_HIGH, _LOW, _MAP[0])[:, None, None]
    turn = (angle - column) * (1 / (2 * math.pi))
    across = _RADIUS * 2 * math.pi * (turn - turn.round())
    squared = (across * across + (height - row) ** 2).view(-1, len(index))
    # Stable: mirrored vertices are as near as each other.
    distance, nearest = (of[:, :_NEAREST] for of in squared.sort(dim=1, stable=True))
    weight = 1 / (distance + 9e-6)
    weight = weight * weight
    total = weight[:, 0]
    for k in range(1, _NEAREST):
        total = total + weight[:, k]
    return index[nearest], weight / total[:, None]
