"""Mirrors a sample of FaceDataset: left becomes right in images, regions, keypoints and camera."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from synthforge.dataset.folder import DatasetError, image_size
from synthforge.landmarks import FLIP
from synthforge.regions import FLIP_PAIRS

Sample = dict[str, Tensor]
Change = Callable[[Tensor], Tensor]

# Images whose values stay as they are, and those of region ids.
_PLAIN = ("images", "depth", "depth16", "volume_depth", "alpha", "depth16_visible")
_REGIONS = ("seg", "seg_id", "seg_visible")
_SAME = (
    *("depth_range", "fov_deg", "pitch_rad", "age_years", "sex", "weight", "ancestry"),
    *("glasses", "headwear", "mask", "earrings", "occluders", "bystanders"),
    *("hair", "hair_color"),
    *("identity", "expression", "view", "light", "seed", "index", "attempt", "mse"),
)
_SIDES = ("Left", "Right")


class Mirror:
    """Mirrors samples of one dataset.

    card: its dataset.json. Called with a sample of FaceDataset it returns the mirrored one: x in
    pixels becomes W - x, regions and keypoints trade sides as FLIP_PAIRS and landmarks.FLIP say,
    camera and points are mirrored at the plane x = 0 of the generator's world and of the camera,
    so that `2d_kps` are the projections of `3d_kps` still, and face actions trade sides.

    Raises DatasetError for what has no mirror image: z, uv, identity coefficients, FLAME's
    expression coefficients, and labels that it does not know. Leave them out of the labels.
    """

    def __init__(self, card: Mapping[str, Any]) -> None:
        self._card = card
        self._size = image_size(card)
        self._changes: dict[str, Change] = {
            **dict.fromkeys(_SAME, lambda value: value),
            **dict.fromkeys(_PLAIN, lambda image: image.flip(-1)),
            **dict.fromkeys(_REGIONS, lambda ids: _traded(ids, FLIP_PAIRS).flip(-1)),
            "normals": lambda image: _x_negated(image.flip(-1), dim=-3),
            **self._keypoints(FLIP),
            "yaw_rad": lambda yaw: -yaw,
            "T_gen_cam": _transform,
            "K_px": lambda K: _intrinsics(K, self._size),
            "camera_params": _camera,
            **dict.fromkeys(("flame_pose", "flame_neck_pose"), _axis_angles),
            "flame_eye_pose": lambda pose: _axis_angles(pose.roll(3)),
            "head_rotation": lambda R: R * torch.tensor([[1.0, -1, -1], [-1, 1, 1], [-1, 1, 1]]),
            "head_euler_deg": lambda angles: angles * torch.tensor([-1.0, 1.0, -1.0]),
            **dict.fromkeys(("gaze", "eye_centers"), lambda of: _x_negated(of.flip(0), dim=-1)),
            "eye_opening": lambda opening: opening.flip(0),
        }
        for name, scheme in card.get("keypoints", {}).items():
            if "flip" in scheme:
                self._changes |= self._keypoints(scheme["flip"], f"_{name}")
        for key, parsing in card.get("parsing", {}).items():  # classes of other sets
            self._changes[key] = _parsing(parsing["classes"])
        for key, names in (("face_actions", "face_actions"), ("flame_exp", "expression_actions")):
            if names in card:
                self._changes[key] = _trade(_opposites(card[names]))

    def __reduce__(self) -> tuple[type[Mirror], tuple[Mapping[str, Any]]]:
        return Mirror, (self._card,)

    def check(self, labels: Sequence[str]) -> None:
        """Raises DatasetError if one of the labels has no mirror image."""
        unknown = [name for name in labels if name not in self._changes]
        if unknown:
            raise DatasetError(
                f"{', '.join(unknown)} cannot be mirrored; leave them out of the labels"
            )

    def __call__(self, sample: Mapping[str, Tensor]) -> Sample:
        self.check([*sample])
        return {name: self._changes[name](value) for name, value in sample.items()}

    def _keypoints(self, flip: Sequence[int], scheme: str = "") -> dict[str, Change]:
        """Changes of keypoints, whose order is `flip` when they are mirrored."""
        order = torch.tensor(flip)

        def px(points: Tensor) -> Tensor:
            x, y = points[order].unbind(-1)
            return torch.stack([self._size - x, y], -1)

        seen = (f"kps_visible{scheme}", *(() if scheme else ("kps_occluded",)))
        return {
            **dict.fromkeys((f"2d_kps{scheme}", *(() if scheme else ("fan_kps",))), px),
            f"3d_kps{scheme}": lambda points: _x_negated(points[order], dim=-1),
            **dict.fromkeys(seen, lambda is_seen: is_seen[order]),
        }


def _traded(ids: Tensor, pairs: Iterable[Sequence[int]]) -> Tensor:
    """Ids with the sides traded; those of no pair stay."""
    traded = ids.clone()
    for left, right in pairs:
        traded[ids == left] = right
        traded[ids == right] = left
    return traded


def _parsing(classes: Mapping[str, int]) -> Callable[[Tensor], Tensor]:
    """Classes whose names begin with a side trade with those of the other."""
    pairs = [
        (classes[name], classes[other])
        for left, right in (("left ", "right "), ("LEFT_", "RIGHT_"), ("l_", "r_"))
        for name in classes
        if name.startswith(left) and (other := right + name[len(left) :]) in classes
    ]
    return lambda ids: _traded(ids, pairs).flip(-1)


def _x_negated(values: Tensor, dim: int) -> Tensor:
    """The first entry along `dim` changes its sign."""
    signs = torch.ones(values.shape[dim], dtype=values.dtype)
    signs[0] = -1
    return (values.movedim(dim, -1) * signs).movedim(-1, dim)


def _transform(T: Tensor) -> Tensor:
    """M T M for M = diag(-1, 1, 1, 1): a rotation stays one."""
    signs = torch.tensor([-1.0, 1.0, 1.0, 1.0])
    return signs[:, None] * T * signs


def _intrinsics(K: Tensor, width: float) -> Tensor:
    mirrored = K.clone()
    mirrored[0, 1] = -K[0, 1]
    mirrored[0, 2] = width - K[0, 2]
    return mirrored


def _camera(vector: Tensor) -> Tensor:
    T, K = vector[:16].view(4, 4), vector[16:].view(3, 3)
    return torch.cat([_transform(T).flatten(), _intrinsics(K, 1).flatten()])


def _axis_angles(pose: Tensor) -> Tensor:
    """Rotations [3 n] mirrored at x = 0: turns about y and z change their sense."""
    return (pose.view(-1, 3) * torch.tensor([1.0, -1.0, -1.0])).flatten()


def _trade(order: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """Reorders the first entries, as many as there are in the order; the rest stays."""

    def change(values: Tensor) -> Tensor:
        return torch.cat([values[torch.tensor(order)], values[len(order) :]])

    return change


def _opposites(names: Sequence[str]) -> list[int]:
    """For each name the place of the other side's; of itself, if it has no side."""
    left, right = _SIDES
    other = {f"{name[: -len(left)]}{right}": name for name in names if name.endswith(left)}
    other |= {name: mirrored for mirrored, name in other.items()}
    return [names.index(other.get(name, name)) for name in names]
