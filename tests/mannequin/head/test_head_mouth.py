"""Lips that should be shut are shut from corner to corner, and puffed cheeks are round."""

import functools

import numpy as np
import pytest
import torch

from synthforge.mannequin.head.baked import ACTIONS, Piece, baked_head
from synthforge.mannequin.head.faces import listed_face
from synthforge.rasterizer import visible
from synthforge.regions import REGION_ID

SHUT = (
    "cheekPuff", "cheekSquint", "jawForward", "jawLeft", "jawRight", "mouthDimple", "mouthFrown",
    "mouthLeft", "mouthPress", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmile", "mouthStretch", "noseSneer",
)  # fmt: skip
# Metres: of a slit between closed lips, for all but one of the six and for that one; and of a pixel
# of the views in which it is looked for.
WIDEST, EXTREME, PIXEL = 0.0005, 0.0013, 0.00015
MOUTH = np.array([0.0, -0.042, 0.02])
SIZE = 400


@functools.cache
def people():
    """Vertices of the average head and five others, each (V, 3)."""
    head = baked_head()
    shapes = [np.zeros(100), *np.random.default_rng(0).normal(size=(5, 100))]
    return [head.model.v_template + head.model.shapedirs[..., :100] @ shape for shape in shapes]


def slit(vertices, yaw):
    """Height of the tallest column in which the mouth's inside is seen, metres."""
    head = baked_head()
    near = (np.linalg.norm(head.adult - [0, -0.04, 0.045], axis=1) < 0.12)[head.model.faces].all(1)
    inside = head.face_region[near] == REGION_ID["inner_mouth"]
    c, s = np.cos(yaw), np.sin(yaw)
    points = (vertices - MOUTH) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    ndc = points / (SIZE / 2 * PIXEL) * [-1, 1, -1] + [0, 0, 9]
    seen = visible(
        torch.from_numpy(ndc).float()[None],
        torch.from_numpy(head.model.faces[near]),
        SIZE, SIZE, perspective_correct=False, cull_backfaces=True,
    )[0].numpy()  # fmt: skip
    return PIXEL * ((seen >= 0) & inside[seen]).sum(0).max()


@pytest.mark.parametrize("action", ["rest", *SHUT])
def test_closed_lips_leave_no_slit(action):
    names = {} if action == "rest" else {action: 1.0}
    moved = baked_head().actions @ listed_face(names)
    views = ((1.0, 0.0), (0.5, 0.0), (1.0, 0.7))
    slits = sorted(max(slit(v + t * moved, yaw) for t, yaw in views) for v in people())
    assert slits[-2] <= WIDEST and slits[-1] <= EXTREME


@pytest.mark.parametrize("face", ["polite smile", "sadness", "anger", "frown", "kiss", "smirk"])
def test_faces_with_closed_lips_leave_no_slit(face):
    moved = baked_head().actions @ listed_face(face)
    slits = sorted(slit(vertices + moved, 0.0) for vertices in people())
    assert slits[-2] <= WIDEST and slits[-1] <= EXTREME


def test_open_lips_are_open():
    for action in ("mouthUpperUp", "mouthLowerDown", "jawOpen"):
        moved = baked_head().actions @ listed_face({action: 0.5})
        assert min(slit(vertices + moved, 0.0) for vertices in people()) > 0.0001


def test_puffed_cheeks_are_round():
    """No edge between the cheek's triangles is bent much more than at rest."""
    head = baked_head()
    cheek = np.linalg.norm(head.adult - [0.045, -0.038, 0.025], axis=1) < 0.028
    cheek &= head.vertex_piece == Piece.SKIN
    faces = head.model.faces[cheek[head.model.faces].all(1) & (head.face_region == 0)]
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    owner = dict(zip(map(tuple, directed), np.tile(np.arange(len(faces)), 3), strict=True))
    pairs = [(k, owner[b, a]) for (a, b), k in owner.items() if a < b and (b, a) in owner]
    one, other = np.array(pairs).T

    def sharpest(amount):
        moved = amount * head.actions[..., ACTIONS.index("cheekPuff")]
        a, b, c = (head.model.v_template + moved)[faces].transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        return np.degrees(np.arccos((normal[one] * normal[other]).sum(1).clip(-1, 1))).max()

    assert len(pairs) > 300
    assert sharpest(1.0) < sharpest(0.0) + 5
