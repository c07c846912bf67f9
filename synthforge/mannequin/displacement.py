"""How parts of the head move together when its shape changes.

A displacement is a sum of soft pushes, each felt near a centre. Skin follows it directly. What
must not be bent by it follows at an anchor: the globe and the lids round it move as one with the
eye, the teeth with the face in front of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from synthforge.mannequin import eyes
from synthforge.mannequin.assembly import Assembly
from synthforge.mannequin.parts import Part
from synthforge.mannequin.profiles import MM, Array, gauss, smoothstep

Triple = tuple[float, float, float]

# Skin this near the lid margin is rigid with the globe, and beyond the second free of it.
_RIGID, _FREE = 2.0 * MM, 11.0 * MM
# The face in front of the teeth: y of the anchor, mm, for the upper and the lower jaw.
_UPPER_ANCHOR_Y, _LOWER_ANCHOR_Y = -33.0, -66.0
# How much each ring of the cavity goes with the lips, from the lips to the throat.
_LIP_SHARES = (1.0, 1.0, 0.9, 0.5, 0.1, 0.0, 0.0)


@dataclass(frozen=True)
class Push:
    """A soft push of the left half, in mm: felt within about `radius` of `center`."""

    center: Triple
    radius: Triple
    by: Triple


@dataclass(frozen=True)
class Anchors:
    """Where each vertex feels a displacement.

    position: (V, 3), the place at which it is read: the vertex itself, or its anchor.
    eye_share: (V,), how much the vertex moves with the eye of its side.
    eye_position: (V, 3), the front of that eye.
    """

    position: Array
    eye_share: Array
    eye_position: Array


def anchors(assembly: Assembly) -> Anchors:
    """Globes, lid margins and the skin next to them are anchored to the eye; teeth and tongue to
    the face's surface before them, at their own x; the mouth's cavity in between."""
    vertices, parts = assembly.vertices, assembly.parts
    x, y, z = vertices.T
    eye_share = np.zeros(len(vertices))
    near = (np.abs(x) < 80 * MM) & (np.abs(y - eyes.CENTER[1]) < 40 * MM) & (z > -5 * MM)
    skin = np.flatnonzero(near & (parts == Part.SKIN))
    distance = eyes.distance_to_margin(np.abs(x[skin]), y[skin])
    eye_share[skin] = smoothstep(_FREE, _RIGID, distance)
    eye_share[np.isin(parts, (Part.LID_MARGIN, Part.LEFT_EYEBALL, Part.RIGHT_EYEBALL))] = 1.0
    eye = np.array([*eyes.CENTER[:2], eyes.CENTER[2] + eyes.RADIUS])
    eye_position = np.where(x[:, None] > 0, eye, eye * [-1, 1, 1])

    position = vertices.copy()
    cavity = np.isin(parts, (Part.TEETH, Part.GUMS, Part.TONGUE, Part.INNER_MOUTH))
    jaws = vertices.copy()
    jaws[:, 1] = np.where(assembly.jaw < 0, _LOWER_ANCHOR_Y, _UPPER_ANCHOR_Y) * MM
    jaws[:, 2] = 50 * MM - np.minimum(12.0 * x * x, 12 * MM)
    position += (jaws - position) * (cavity * (1 - lip_share(assembly)))[:, None]
    return Anchors(position, eye_share, eye_position)


def lip_share(assembly: Assembly) -> Array:
    """(V,) how much the inside of the mouth goes with the lips, not with the jaws; 0 elsewhere."""
    share = np.zeros(len(assembly.vertices))
    for index, value in enumerate(_LIP_SHARES):
        ids = assembly.rings[f"cavity_{index}"]
        share[ids] = share[assembly.mirror[ids]] = value
    return share


def still_eyes(where: Anchors) -> Anchors:
    """For motions of the face about resting eyes: the eyes' anchor is out of reach of any push."""
    return replace(where, eye_position=np.ones_like(where.eye_position))


def mirrored(assembly: Assembly, directions: Array) -> Array:
    """(V, 3) as they look in the mirror."""
    return directions[assembly.mirror] * [-1, 1, 1]


def evened(assembly: Assembly, directions: Array) -> Array:
    """(V, 3) made mirror-symmetric to the last bit."""
    return 0.5 * (directions + mirrored(assembly, directions))


def symmetric(where: Anchors, pushes: Iterable[Push]) -> Array:
    """(V, 3) metres: the pushes and their mirror images."""
    return _felt(where, functools.partial(_sum, pushes=tuple(pushes), sides=(1.0, -1.0)))


def one_sided(where: Anchors, pushes: Iterable[Push]) -> Array:
    """(V, 3) metres: the pushes as they stand, on the left."""
    return _felt(where, functools.partial(_sum, pushes=tuple(pushes), sides=(1.0,)))


def _felt(where: Anchors, field: functools.partial[Array]) -> Array:
    own, eye = field(where.position), field(where.eye_position)
    return own + where.eye_share[:, None] * (eye - own)


def _sum(points: Array, pushes: tuple[Push, ...], sides: tuple[float, ...]) -> Array:
    total = np.zeros_like(points)
    for push in pushes:
        # A push on the midline is its own mirror image.
        for side in sides if push.center[0] else (1.0,):
            felt = np.ones(len(points))
            for axis in range(3):
                center = push.center[axis] * (side if axis == 0 else 1.0)
                felt = felt * gauss(points[:, axis], center * MM, push.radius[axis] * MM)
            total += felt[:, None] * np.array(push.by) * [side, 1, 1] * MM
    return total


def scale(where: Anchors, center: Triple, radius: Triple, share: float) -> Array:
    """(V, 3): grow by `share` about `center` and its mirror image (mm), within about `radius`.

    The eyes stay as they are.
    """
    total = np.zeros_like(where.position)
    for side in (1.0, -1.0) if center[0] else (1.0,):
        offset = where.position - np.array(center) * [side, 1, 1] * MM
        felt = np.exp(-((offset / (np.array(radius) * MM)) ** 2).sum(1))
        total += felt[:, None] * offset * share
    return total * (1 - where.eye_share[:, None])


def scale_eyes(where: Anchors, share: float) -> Array:
    """(V, 3): grow globes and lids alike by `share`; the skin round them follows."""
    center = where.eye_position - [0, 0, eyes.RADIUS]
    return where.eye_share[:, None] * (where.position - center) * share
