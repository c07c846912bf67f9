"""Joints and skin weights."""

from __future__ import annotations

import numpy as np

from synthforge.mannequin import eyes, mouth
from synthforge.mannequin.assembly import Assembly
from synthforge.mannequin.parts import Part
from synthforge.mannequin.profiles import MM, Array, smoothstep

ROOT, NECK, JAW, LEFT_EYE, RIGHT_EYE = range(5)
PARENTS = np.array([-1, 0, 1, 1, 1])

# Where root and neck bend, and the hinge of the jaw before the ear; mm.
_ROOT = (-158.0, -58.0)
_NECK = (-82.0, -54.0)
_JAW = (-1.0, -38.0)
_LOOP_REACH = 9.0 * MM
_NECK_TILT = 0.2
# From the corner of the mouth outwards, half the height over which the cheek stretches, mm.
_STRETCH = ((0.0, 4.0), (14.0, 5.5), (25.0, 9.0), (38.0, 17.0), (55.0, 27.0), (80.0, 34.0))
_CORNER_REACH = 9.0 * MM


def joint_regressor(assembly: Assembly) -> Array:
    """(5, V): each joint is a mean of vertices, so that it moves with the shape."""
    vertices, parts, mirror = assembly.vertices, assembly.parts, assembly.mirror
    regressor = np.zeros((5, len(vertices)))
    skin = parts == Part.SKIN
    for joint, (y, z) in ((ROOT, _ROOT), (NECK, _NECK), (JAW, _JAW)):
        regressor[joint] = _means_at(vertices, skin, y * MM, z * MM, joint == JAW)
    # Rings of the globe before and behind its centre, balanced so that their mean is the centre.
    ball = assembly.rings["eyeball"]
    depth = np.round(vertices[ball, 2] - eyes.CENTER[2], 9)
    levels = np.unique(depth[(np.abs(depth) < 6 * MM)])
    front, back = levels[levels >= 0].min(), levels[levels < 0].max()
    share = front / (front - back)
    for level, weight in ((front, 1 - share), (back, share)):
        ring = ball[depth == level]
        regressor[LEFT_EYE, ring] = weight / len(ring)
        regressor[RIGHT_EYE, mirror[ring]] = weight / len(ring)
    return regressor


def _means_at(vertices: Array, allowed: Array, y: float, z: float, at_side: bool) -> Array:
    """(V,) non-negative weights whose mean is about (0, y, z)."""
    offset = vertices[:, 1:] - [y, z]
    if at_side:
        distance = np.hypot(offset[:, 0], offset[:, 1])
        weight = np.where(allowed, np.exp(-((distance / _LOOP_REACH) ** 2)), 0.0)
    else:
        # A loop round the neck, tilted down towards the front as the neck's loops are.
        tilted = offset[:, 0] + _NECK_TILT * offset[:, 1]
        weight = np.where(allowed, np.exp(-((tilted / _LOOP_REACH) ** 2)), 0.0)
        weight[np.abs(weight) < 1e-4] = 0.0
        weight *= np.where(offset[:, 1] > 0, 1.0, _balance(weight, offset[:, 1]))
    weight[weight < 1e-4] = 0.0
    return weight / weight.sum()


def _balance(weight: Array, offset: Array) -> float:
    """Factor on what lies behind that puts the mean where it is wanted."""
    before, behind = offset > 0, offset <= 0
    return float(-(weight * offset)[before].sum() / (weight * offset)[behind].sum())


def weights(assembly: Assembly) -> Array:
    """(V, 5), rows sum to 1."""
    x, y, z = assembly.vertices.T
    # The neck's loops are lower in front than behind: so are the levels of its bending.
    head = smoothstep(-170 * MM, -92 * MM, y + _NECK_TILT * (z - _NECK[1] * MM))
    jaw = _jaw_share(assembly)
    result = np.zeros((len(x), 5))
    result[:, JAW] = jaw
    result[:, NECK] = (1 - jaw) * head
    result[:, ROOT] = (1 - jaw) * (1 - head)
    for part, joint in ((Part.LEFT_EYEBALL, LEFT_EYE), (Part.RIGHT_EYEBALL, RIGHT_EYE)):
        result[assembly.parts == part] = np.eye(5)[joint]
    return result


def _jaw_share(assembly: Assembly) -> Array:
    """(V,) weight of the jaw: all of the lower lip, half at the corner of the mouth, and on the
    cheek a stretch that widens towards the ear."""
    vertices, parts = assembly.vertices, assembly.parts
    x, y, z = np.abs(vertices[:, 0]), vertices[:, 1], vertices[:, 2]
    # Below the line from the lips' contact back to the hinge.
    corner_x = mouth.HALF_WIDTH
    beyond = np.maximum(x - corner_x, 0)
    line = mouth.contact_height(np.minimum(x, corner_x)) + 0.30 * beyond
    stretch = np.interp(x / MM, *np.array(_STRETCH).T) * MM
    share = 0.5 - 0.5 * _smooth_sign((y - line) / stretch)
    # Not the ear, not the hinge's surroundings, not the neck.
    hinge_y, hinge_z = _JAW[0] * MM, _JAW[1] * MM
    share = share * smoothstep(14 * MM, 48 * MM, np.hypot(y - hinge_y, z - hinge_z))
    below = np.arctan2(y - hinge_y, np.maximum(z - hinge_z, 1e-6))
    share = share * smoothstep(-1.52, -0.92, below) * smoothstep(-44 * MM, -10 * MM, z)
    share = share * smoothstep(-132 * MM, -100 * MM, y)
    share[np.isin(parts, (Part.EAR, Part.NOSTRIL))] = 0.0
    inside = np.isin(parts, (Part.LIPS, Part.INNER_MOUTH))
    from_corner = smoothstep(0.0, _CORNER_REACH, corner_x - x)
    # Towards the throat roof and floor draw together again.
    from_corner = from_corner * np.where(
        parts == Part.INNER_MOUTH, smoothstep(-6 * MM, 18 * MM, z), 1
    )
    share = np.where(inside, 0.5 - 0.5 * assembly.jaw * from_corner, share)
    rigid = np.isin(parts, (Part.TEETH, Part.GUMS, Part.TONGUE))
    return np.where(rigid, assembly.jaw < 0, share)


def _smooth_sign(t: Array) -> Array:
    return 2 * smoothstep(-1.0, 1.0, t) - 1
