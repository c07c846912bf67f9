"""Bake the built-in head's further keypoints: python tools/bake_points.py.

Writes synthforge/mannequin/head/points.npz from head.npz; run it after tools/bake_head.py.

- wflw98: the layout of WFLW's 98 points, defined here from the 68 and the head's own regions.
- mediapipe468, mediapipe478: where MediaPipe's face mesh puts its points on images of this head. To
  find that again, give --dataset, some 200 default samples of the built-in head, and --seen, what
  tools/detect_face_mesh.py found in them. Without, places found before are kept.
- pupils and irises: where rays from the eyeballs' centres leave them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import linear_sum_assignment

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT)]

from synthforge.keypoints import leaving_eyeballs  # noqa: E402
from synthforge.landmarks import WFLW_CONTOUR  # noqa: E402
from synthforge.mannequin.head.baked import (  # noqa: E402
    ACTIONS,
    BakedHead,
    Piece,
    baked_head,
)
from synthforge.mannequin.head.points import topology_digest  # noqa: E402
from synthforge.regions import REGION_ID  # noqa: E402
from synthforge.whole_files import replacing  # noqa: E402

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

OUT = ROOT / "synthforge/mannequin/head/points.npz"
MM = 1e-3
# The iris: 0.475 of a human globe's radius, which is 12 of the 16.6 mm of the mesh's.
_IRIS = 0.475 * 12 / 16.6
# Of the mesh's points, in MediaPipe's order: centre, right, top, left, bottom in the image.
_RING = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
# Lower edge of the left brow, inner to outer end.
_LOWER_BROW_X = np.array([14.0, 25.0, 36.0, 47.0]) * MM
_FACE = ("face", "forehead", "eye_region", "eye_region+forehead", "scalp", "nose")
# Where the face's outline ends before the ear, and the lower edge of the jaw: as head_landmarks.
_EAR_Z, _EDGE_Y, _EDGE_SLOPE = -38.0 * MM, -71.0 * MM, -0.39
_CENTER = np.array([0.0, -25.0, 10.0]) * MM
# Distances in eye distances beyond which a detection counts no more.
_CAP = 0.15
_MAX_YAW_DEG = 40


class Skin:
    """The average adult's skin, with an open mouth: closed lips lie on one another."""

    def __init__(self, head: BakedHead, jaw_open: float = 0.8) -> None:
        self.head = head
        self.points = head.adult.astype(np.float64)
        self.points += jaw_open * head.actions[..., ACTIONS.index("jawOpen")]
        self.faces = head.model.faces
        skin = head.vertex_piece[self.faces[:, 0]] == Piece.SKIN
        self.chosen = np.flatnonzero(skin & (self.points[self.faces, 2].mean(1) > -0.06))
        self.flipped = _mirrored(self.faces, head.mirror)

    def nearest(self, targets: Array) -> tuple[Ids, Array]:
        """Triangle and barycentrics nearest to each of [N, 3]."""
        corners = self.points[self.faces[self.chosen]]
        found = [_nearest(corners, target) for target in targets]
        faces = self.chosen[[face for face, _ in found]]
        return faces, np.stack([bary for _, bary in found])

    def at(self, faces: Ids, bary: Array) -> Array:
        return (self.points[self.faces[faces]] * bary[..., None]).sum(-2)

    def mirror(self, faces: Ids, bary: Array) -> tuple[Ids, Array]:
        """The mirror images of points [N] on triangles."""
        theirs = self.flipped[faces]
        moved = self.head.mirror[self.faces[faces]]
        order = (self.faces[theirs][:, :, None] == moved[:, None]).argmax(2)
        return theirs, np.take_along_axis(bary, order, 1)


def _mirrored(faces: Ids, mirror: Ids) -> Ids:
    ours, theirs = np.sort(faces, 1), np.sort(mirror[faces], 1)
    order, other = np.lexsort(ours.T), np.lexsort(theirs.T)
    found = np.empty(len(faces), np.int64)
    found[other] = order
    return found


def _nearest(corners: Array, target: Array) -> tuple[int, Array]:
    close = np.argsort(((corners - target) ** 2).sum(-1).min(1))[:32]
    a, b, c = corners[close].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    squared = (normal**2).sum(1)
    w1 = (np.cross(target - a, c - a) * normal).sum(1) / squared
    w2 = (np.cross(b - a, target - a) * normal).sum(1) / squared
    bary = np.clip(np.stack([1 - w1 - w2, w1, w2], -1), 0, 1)
    bary /= bary.sum(1, keepdims=True)
    miss = (((bary[:, :, None] * corners[close]).sum(1) - target) ** 2).sum(1)
    best = int(miss.argmin())
    return int(close[best]), bary[best]


def wflw98(skin: Skin) -> dict[str, NDArray[Any]]:
    """Contour rows [79, 33] and the 63 points 33-95; the pupils come last."""
    head = skin.head
    embedding = head.embedding
    inner = skin.at(embedding.static_faces, embedding.static_bary.astype(np.float64))
    ibug = np.concatenate([np.full((17, 3), np.nan), inner])

    brow = np.flatnonzero(head.face_region == REGION_ID["left_eyebrow"])
    corners = skin.points[head.model.faces[brow]].reshape(-1, 3)
    lower = []
    for x in _LOWER_BROW_X:
        strip = corners[abs(corners[:, 0] - x) < 2 * MM]
        lower.append([x, *strip[strip[:, 1].argmin(), 1:]])
    # From the left brow, inner to outer; the right one is its mirror image.
    left_brow = np.concatenate([ibug[22:27], np.array(lower)[::-1]])
    upper, under = _quarters(ibug[[42, 43, 44, 45]]), _quarters(ibug[[45, 46, 47, 42]])
    left_eye = np.concatenate([upper[:-1], under[:-1]])
    right_brow = (left_brow * [-1, 1, 1])[[4, 3, 2, 1, 0, 8, 7, 6, 5]]
    right_eye = (left_eye * [-1, 1, 1])[[4, 3, 2, 1, 0, 7, 6, 5]]
    targets = np.concatenate([right_brow, left_brow, ibug[27:36], right_eye, left_eye, ibug[48:68]])
    faces, bary = skin.nearest(targets)
    closed = Skin(head, 0)
    contour = [_contour(closed, degrees) for degrees in range(40)]
    contour += [_mirrored_contour(closed, *row) for row in contour[1:]]
    return {
        "wflw98_faces": faces,
        "wflw98_bary": bary,
        "wflw98_contour_faces": np.stack([row[0] for row in contour]),
        "wflw98_contour_bary": np.stack([row[1] for row in contour]),
    }


def _quarters(points: Array) -> Array:
    """Five points, evenly along the curve through four."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    curve = CubicSpline(along, points)(np.linspace(0, along[-1], 65))
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    at = np.linspace(0, length[-1], 5)
    return np.stack([np.interp(at, length, axis) for axis in curve.T], 1)


def _contour(skin: Skin, degrees: int) -> tuple[Ids, Array]:
    """33 points for one yaw: the 17 of the jaw line and, halfway, the outline as it is seen."""
    head = skin.head
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    faces17 = head.embedding.contour_faces[degrees]
    bary17 = head.embedding.contour_bary[degrees].astype(np.float64)
    jaw = (skin.at(faces17, bary17) - _CENTER) @ turn.T
    allowed = np.isin(head.face_region, [REGION_ID[name] for name in _FACE])
    allowed &= skin.points[head.model.faces, 2].max(1) > _EAR_Z
    allowed &= head.vertex_piece[head.model.faces[:, 0]] == Piece.SKIN
    chosen = np.flatnonzero(allowed)
    grid = np.array([(i, j, 6 - i - j) for i in range(7) for j in range(7 - i)]) / 6
    owner, bary = np.repeat(chosen, len(grid)), np.tile(grid, (len(chosen), 1))
    points = skin.at(owner, bary)
    keep = (points[:, 2] > _EAR_Z) & (points[:, 1] > _EDGE_Y + _EDGE_SLOPE * points[:, 2])
    owner, bary, points = owner[keep], bary[keep], (points[keep] - _CENTER) @ turn.T
    faces, weights = [faces17[0]], [bary17[0]]
    for k in range(16):
        near = np.linalg.norm(points - (jaw[k] + jaw[k + 1]) / 2, axis=1) < 15 * MM
        middle, along = (jaw[k] + jaw[k + 1])[:2] / 2, (jaw[k + 1] - jaw[k])[:2]
        outwards = np.array([-along[1], along[0]]) / np.linalg.norm(along)
        outwards *= np.sign(outwards @ middle)
        offset = points[near][:, :2] - middle
        across = abs(offset @ along) / np.linalg.norm(along)
        score = offset @ outwards - 4 * np.maximum(across - 0.7 * MM, 0)
        best = np.flatnonzero(near)[int(score.argmax())]
        faces += [owner[best], faces17[k + 1]]
        weights += [bary[best], bary17[k + 1]]
    return np.array(faces), np.stack(weights)


def _mirrored_contour(skin: Skin, faces: Ids, bary: Array) -> tuple[Ids, Array]:
    theirs, moved = skin.mirror(faces, bary)
    return theirs[::-1], moved[::-1]


def face_mesh(skin: Skin, dataset: Path, seen: Path) -> tuple[Array, Ids]:
    """Places of the 468 points on `skin` [468, 3], and the flip permutation.

    Each is the point of the skin that, over all samples, projects nearest to what was detected.
    """
    import torch

    from synthforge.camera import Camera
    from synthforge.frames import place_in_generator
    from synthforge.generators.mannequin import mannequin_parts
    from synthforge.pose import euler_deg, pose_of

    found = np.load(seen, allow_pickle=False)
    flip = _flip(found)
    head, _, _ = mannequin_parts(torch.device("cpu"))
    region = np.ones(len(skin.points), bool)
    region[skin.faces[skin.head.face_region == REGION_ID["inner_mouth"]]] = False
    candidates = np.flatnonzero(
        (skin.head.vertex_piece == Piece.SKIN)
        & (skin.points[:, 2] > -0.05)
        & region
        & (abs(skin.points[:, 1]) < 0.16)
    )
    cost = np.zeros((468, len(candidates)))
    for index, points in zip(found["index"], found["points"], strict=True):
        name = dataset / "annotations" / f"{index:06d}.json"
        row = json.loads(name.read_text())

        def number(key: str, row: dict[str, Any] = row) -> torch.Tensor:
            return torch.tensor(row[key], dtype=torch.float32)[None]

        camera = Camera.from_vector(number("camera_params"))
        full = torch.cat(
            [number("flame_pose")[:, :3], number("flame_neck_pose"),
             number("flame_pose")[:, 3:], number("flame_eye_pose")], 1
        )  # fmt: skip
        R, joints = head.flame.joints(number("flame_shape"), number("flame_exp"), full)
        yaw = euler_deg(pose_of(R, joints, place_in_generator, camera).R_cam_head)[0, 0]
        if abs(yaw) > _MAX_YAW_DEG:
            continue
        vertices, _ = head.flame(
            number("flame_shape"), number("flame_exp"), number("flame_pose"),
            neck_pose=number("flame_neck_pose"), eye_pose=number("flame_eye_pose"),
        )  # fmt: skip
        px, _ = camera.project(place_in_generator(vertices[:, candidates]), 512)
        eyes = np.array(row["2d_kps"])[[36, 45]]
        scale = np.linalg.norm(eyes[0] - eyes[1])
        offset = px[0].numpy()[None] - points[:, None, :2]
        cost += np.minimum(np.hypot(offset[..., 0], offset[..., 1]) / scale, _CAP)
    best = cost.argmin(1)
    # Between vertices: the candidates' mean, weighted by how near they come to the best.
    places = np.empty((468, 3))
    spacing = np.linalg.norm(
        skin.points[candidates][None] - skin.points[candidates[best]][:, None], axis=-1
    )
    for k in range(468):
        near = spacing[k] < 4 * MM
        weight = np.exp(-(cost[k, near] - cost[k, best[k]]) / (0.02 * cost[k, best[k]]))
        places[k] = (weight[:, None] * skin.points[candidates[near]]).sum(0) / weight.sum()
    places = (places + places[flip] * [-1, 1, 1]) / 2
    print(f"median cost {np.median(cost.min(1)) / len(found['index']):.4f} eye distances")
    return places, flip


def _flip(found: Any) -> Ids:
    """Where each point is in a mirrored image, held to the mesh's edges."""
    both = np.isin(found["index"], found["mirrored_index"])
    straight, mirrored = found["points"][both][..., :2], found["mirrored_points"][..., :2]
    scale = np.linalg.norm(straight[:, 33] - straight[:, 263], axis=1)
    cost = np.zeros((468, 468))
    for ours, theirs, size in zip(straight, mirrored, scale, strict=True):
        cost += np.linalg.norm(ours[:, None] - theirs[None], axis=-1) / size
    flip = linear_sum_assignment(cost + cost.T)[1]
    edges = {frozenset(edge) for edge in found["edges"].tolist()}
    # Six of the mesh's quads are cut along the same diagonal on both sides.
    broken = [edge for edge in edges if frozenset(flip[list(edge)].tolist()) not in edges]
    if (flip[flip] != np.arange(468)).any() or len(broken) > 6:
        raise ValueError("the mirrored points do not mirror the mesh's edges; give more samples")
    return flip


def bake(dataset: Path | None, seen: Path | None) -> dict[str, NDArray[Any]]:
    """The arrays of points.npz."""
    head = baked_head()
    skin = Skin(head)
    arrays = wflw98(skin)
    if dataset is not None and seen is not None:
        places, flip = face_mesh(skin, dataset, seen)
    else:
        with np.load(OUT, allow_pickle=False) as before:
            places, flip = (
                before["mediapipe468_places"].astype(np.float64),
                before["mediapipe468_flip"],
            )
    faces, bary = skin.nearest(places)
    mirrored_faces, mirrored_bary = skin.mirror(faces, bary)
    left = np.flatnonzero((skin.at(faces, bary)[:, 0] > 0) & (flip != np.arange(468)))
    faces[flip[left]], bary[flip[left]] = mirrored_faces[left], mirrored_bary[left]
    joints = np.zeros((5, 3))
    for joint, piece in ((3, Piece.LEFT_EYEBALL), (4, Piece.RIGHT_EYEBALL)):
        ball = head.adult[head.vertex_piece == piece].astype(np.float64)
        joints[joint] = (ball.min(0) + ball.max(0)) / 2
    for name, ring in (("pupils", _RING[:1]), ("irises", _RING)):
        eye_faces, eye_bary = leaving_eyeballs(
            head.adult,
            head.model.faces,
            head.face_region,
            joints,
            _IRIS * np.array(ring),
        )
        arrays |= {f"{name}_faces": eye_faces, f"{name}_bary": eye_bary}
    return {
        **arrays,
        "mediapipe468_faces": faces,
        "mediapipe468_bary": bary,
        "mediapipe468_flip": flip,
        "mediapipe468_places": places.astype(np.float32),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--seen", type=Path)
    options = parser.parse_args()
    arrays = bake(options.dataset, options.seen)
    assert arrays["wflw98_contour_faces"].shape == (79, WFLW_CONTOUR)
    small = {
        name: array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
        for name, array in arrays.items()
    }
    metadata = {
        "format": "synthforge points 2",
        "topology": topology_digest(baked_head()),
        "source": "mediapipe468: places measured on images of the built-in head with the face mesh "
        "of mediapipe 0.10.14 (PyPI, Apache-2.0); the rest is ours",
    }
    with replacing(OUT) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, metadata=np.array(json.dumps(metadata)), **small)
    print(f"{OUT}: {OUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
