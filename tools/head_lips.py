"""Lips that meet from corner to corner, for nearly everyone and in all actions that keep them shut.

Seen from the front the upper lip has a lowest point and the lower lip a highest one in each column.
These crests move up and down together from person to person; where a slit would still be seen
between them, at rest or in an action, both lips are moved towards each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from anny_source import Array, Ids
from head_mesh import MM, PIECES, HeadMesh
from head_people import Identity
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial import cKDTree

from synthforge.regions import REGION_ID

# Actions that leave closed lips closed. The two sides of one are taken together.
SHUT = (
    "cheekPuff", "cheekSquint", "jawForward", "jawLeft", "jawRight", "mouthDimple", "mouthFrown",
    "mouthLeft", "mouthPress", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmile", "mouthStretch", "noseSneer",
)  # fmt: skip
_SIDEWAYS = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
# A hair's breadth beside a round number, so that no column runs along the midline's edges.
_COLUMNS = np.arange(-40, 40.1, 0.5) * MM + 1e-7
# Columns over which a push is widened, then smoothed.
_WIDENED, _SMOOTHED = 5, 1.5
# How far lips overlap in the end; at the corners, which are closed as they are, nothing is asked.
_OVERLAP, _TAPER = 0.3 * MM, 1 * MM
_PEOPLE, _COVERED = 60, 0.99
# Rings of skin about the lips that follow them.
_RINGS = 8
# Lips follow in full from so far off the corners.
_CORNER = 0.8 * MM
# Where the left side's action hands over to the right side's.
_MIDDLE = 8 * MM
# A moved lip shows another crest: pushes are found anew.
_PASSES = 2


@dataclass(frozen=True)
class Touching:
    """Displacements to add: rest (V, 3); actions (V, 3, 52)."""

    rest: Array
    actions: Array


class Lips:
    """follow: (V,), 1 on the upper lip, -1 on the lower, less towards the corners and on skin."""

    def __init__(self, mesh: HeadMesh, region: Ids, mirror: Ids, points: Array) -> None:
        self.mirror = mirror
        skin = mesh.piece[mesh.faces[:, 0]] == PIECES.index("skin")
        upper, lower = (
            _edges(mesh.faces[skin & (region == REGION_ID[name])])
            for name in ("upper_lip", "lower_lip")
        )
        self.ids, numbered = np.unique(np.concatenate([upper, lower]), return_inverse=True)
        self.upper, self.lower = np.split(numbered.reshape(-1, 2), [len(upper)])
        on_lips = np.zeros(len(mesh.piece))
        on_lips[upper] = 1
        on_lips[lower] = -1
        shared = np.intersect1d(upper, lower)
        away = cKDTree(points[shared]).query(points)[0]
        on_lips *= np.clip(away / _CORNER, 0, 1)
        held = np.zeros(len(mesh.piece), bool)
        held[self.ids] = True
        a, b = _edges(mesh.faces[skin]).T
        count = np.bincount(np.concatenate([a, b]), minlength=len(held)).clip(1)
        self.follow = on_lips
        for _ in range(_RINGS):
            around = np.bincount(a, self.follow[b], len(held))
            around += np.bincount(b, self.follow[a], len(held))
            self.follow = np.where(held, on_lips, around / count)

    def meeting(self, identity: Identity) -> Identity:
        """The identity's components with crests that move up and down together."""
        points, moved = identity.mean[self.ids], identity.components[self.ids, 1]
        apart = np.zeros((len(_COLUMNS), moved.shape[1]))
        for edges, up in ((self.upper, 1), (self.lower, -1)):
            height, edge, share = _crest(points, edges, up)
            a, b = moved[edges[edge]].transpose(1, 0, 2)
            apart += up * np.where(np.isfinite(height), 1, 0)[:, None] * (a + share * (b - a))
        components = identity.components.copy()
        for k, gap in enumerate(gaussian_filter1d(apart, _SMOOTHED, axis=0).T):
            components[:, 1, k] -= self._closing(identity.mean, gap)[:, 1]
        return replace(identity, components=components)

    def touching(self, identity: Identity, actions: Array, names: tuple[str, ...]) -> Touching:
        """actions: (V, 3, 52), named by `names`."""
        people = identity.coefficients[:: len(identity.coefficients) // _PEOPLE]
        faces = identity.mean[self.ids] + np.tensordot(
            people, identity.components[self.ids], (1, 2)
        )
        rest = self._even(self._closed(identity.mean, faces, np.zeros_like(identity.mean)))
        faces = faces + rest[self.ids]
        found = np.zeros_like(actions)
        left = np.clip(0.5 + identity.mean[:, :1] / _MIDDLE / 2, 0, 1)
        for name in SHUT:
            if name in names:
                sides = {names.index(name): 1.0}
            else:
                sides = {names.index(f"{name}Left"): left, names.index(f"{name}Right"): 1 - left}
            moved = actions[..., list(sides)].sum(-1)
            change = self._closed(identity.mean, faces, moved)
            if name not in _SIDEWAYS:
                change = self._even(change)
            for index, share in sides.items():
                found[..., index] = change * share
        return Touching(rest, found)

    def _even(self, change: Array) -> Array:
        return (change + change[self.mirror] * [-1, 1, 1]) / 2

    def _closed(self, mean: Array, faces: Array, moved: Array) -> Array:
        """What to add to a movement (V, 3) so that lips of faces (B, I, 3) are closed by it."""
        change = np.zeros_like(mean)
        before = self._lacking(faces) if moved.any() else 0.0
        for _ in range(_PASSES):
            step = (moved + change)[self.ids]
            whole, half = (self._lacking(faces + t * step) - before for t in (1.0, 0.5))
            push = np.maximum(np.maximum(whole, 2 * half), 0) if moved.any() else whole
            push = gaussian_filter1d(maximum_filter1d(push, _WIDENED), _SMOOTHED)
            change += self._closing(mean, push)
        return change

    def _lacking(self, faces: Array) -> Array:
        """(C,), how much nearer the lips have to be for nearly all faces (B, I, 3)."""
        found = []
        for points in faces:
            gap = _crest(points, self.upper, 1)[0] - _crest(points, self.lower, -1)[0]
            seen = np.isfinite(gap)
            inwards = np.minimum(_COLUMNS - _COLUMNS[seen][0], _COLUMNS[seen][-1] - _COLUMNS)
            lacking = np.where(seen, gap, -_OVERLAP) + _OVERLAP
            found.append(lacking * np.clip(inwards / _TAPER, 0, 1))
        return np.quantile(np.maximum(found, 0), _COVERED, axis=0)

    def _closing(self, mean: Array, gap: Array) -> Array:
        """(V, 3), the movement that takes away a gap (C,), half of it by each lip."""
        moved = np.zeros_like(mean)
        moved[:, 1] = -self.follow / 2 * np.interp(mean[:, 0], _COLUMNS, gap)
        return moved


def _edges(faces: Ids) -> Ids:
    """(E, 2), each once."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(pairs, 1), axis=0)


def _crest(points: Array, edges: Ids, up: int) -> tuple[Array, Ids, Array]:
    """Of each column: the height of the lowest point on the edges, or of the highest where `up` is
    -1, the edge it is on, and how far along, (C, 1). Not finite in columns without an edge.
    """
    a, b = points[edges].transpose(1, 0, 2)
    across = np.where(a[:, 0] == b[:, 0], np.inf, b[:, 0] - a[:, 0])
    share = (_COLUMNS[:, None] - a[:, 0]) / across
    height = up * (a[:, 1] + share * (b[:, 1] - a[:, 1]))
    height[(share < 0) | (share > 1)] = np.inf
    edge = height.argmin(1)
    rows = np.arange(len(_COLUMNS))
    return up * height[rows, edge], edge, share[rows, edge][:, None]
