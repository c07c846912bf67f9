"""What sits where on the skin: every map of skin_maps.py as a value at points of the neutral head.

Widths and distances are metres; most features are placed from the 68 landmarks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synthforge.landmarks import LEFT_EYE, OUTER_LIP
from synthforge.mannequin.hair.hairline import hairline_height, recession
from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.render.arithmetic import length, mean, sine
from synthforge.mannequin.render.fields import (
    bell,
    inside_polygon,
    segment_distance,
    smooth_curve,
    smoothstep,
    value_noise,
)
from synthforge.mannequin.render.template import brow_curve, template
from synthforge.mannequin.render.wrinkles import wrinkle_depth
from synthforge.regions import REGION_ID

_SEED = 20240607
_FAR_M = 0.05
# Middle of the mesh's nostril.
_NOSTRIL_X = 0.0097
# In each map.
_MOLES = 6

Maps = dict[str, Tensor]


class Points:
    """N points of the neutral head's surface, and what every feature asks of them: [N] each.

    positions, normals: [N, 3]. region, piece: int64 [N], of synthforge.regions and baked.Piece.
    mark: [68, 3], landmarks; eye: [3], the middle of the left one. mirrored: [N, 3], positions
    folded to the subject's left. front: 1 on the face, 0 on the back of the head. skin: 1 on skin
    and lips, 0 on eyeballs and in the mouth; bare: without the lips.
    """

    def __init__(self, positions: Tensor, normals: Tensor, region: Tensor, piece: Tensor) -> None:
        self.positions, self.normals, self.region, self.piece = positions, normals, region, piece
        x, y, z = positions.unbind(-1)
        self.mark = template().landmarks
        self.eye = mean(self.mark[LEFT_EYE], 0)
        self.mirrored = torch.stack([x.abs(), y, z], -1)
        self.front = smoothstep(-0.055, -0.020, z - self.eye[2])
        self.skin = 1 - self.within("right_eyeball", "left_eyeball", "inner_mouth")
        self.lip = self.within("upper_lip", "lower_lip")
        self.bare = self.skin * (1 - self.lip)

    def within(self, *regions: str) -> Tensor:
        """1 inside any of the regions."""
        ids = torch.tensor([REGION_ID[name] for name in regions])
        return torch.isin(self.region, ids).float()

    def made_of(self, *pieces: Piece) -> Tensor:
        """1 on any of the pieces."""
        return torch.isin(self.piece, torch.tensor(pieces)).float()

    def around(self, x: float, y: Tensor, width_x: float, width_y: float) -> Tensor:
        """A blob on both sides of the face."""
        px, py, _ = self.mirrored.unbind(-1)
        return bell(px - x, width_x) * bell(py - y, width_y) * self.front

    def near(self, landmark: int, width_x: float, width_y: float) -> Tensor:
        x, y, _ = self.mark[landmark]
        return self.around(float(x.abs()), y, width_x, width_y)

    def distance(self, curve: Tensor, reach: float) -> Tensor:
        """Distance seen from the front to a curve [M, 3], up to `reach` from its middle."""
        xy = self.mirrored[:, :2]
        dx, dy = (xy - mean(curve[:, :2], 0)).unbind(1)
        close = dx * dx + dy * dy < reach * reach
        distance = torch.full_like(xy[:, 0], _FAR_M)
        distance[close] = segment_distance(xy[close], curve[:, :2])
        return distance

    def noise(self, wavelength: float, octaves: int, offset: int) -> Tensor:
        return value_noise(self.positions, wavelength, octaves, _SEED + offset)


def skin_features(points: Points) -> Maps:
    """Every map: [N] each."""
    fine, medium = points.noise(0.0016, 2, 1), points.noise(0.006, 2, 2)
    return {
        **_tones(points, medium),
        **_blemishes(points),
        **_eyes(points),
        **_mouth(points, fine, medium),
        **_hair(points, medium),
        **_relief(points, fine),
    }


def _tones(points: Points, medium: Tensor) -> Maps:
    """Blotches and the places where blood shows."""
    eye_y, brow_y = points.eye[1], mean(brow_curve()[:, 1], 0)
    x, y, z = points.mirrored.unbind(-1)
    nose_base = points.mark[33]
    bridge = points.around(0.0, points.mark[28, 1], 0.019, 0.022)
    nose_red = bridge + 0.5 * points.near(30, 0.016, 0.013) + 0.4 * points.near(35, 0.007, 0.008)
    nostril = bell(x - _NOSTRIL_X, 0.0036) * bell(y - nose_base[1] - 0.0072, 0.0046)
    under_nose = smoothstep(-0.2, -0.75, points.normals[:, 1]) * (z > nose_base[2] - 0.02)
    return {
        "base": torch.ones_like(y),
        "mottling_red": (points.noise(0.025, 2, 3) + 0.5 * medium) * points.skin,
        "mottling_brown": (points.noise(0.020, 2, 4) + 0.6 * medium) * points.skin,
        "blush": points.around(0.043, eye_y - 0.034, 0.020, 0.017) * points.skin,
        "nose_red": (nose_red + 0.2 * points.near(8, 0.022, 0.014)) * points.skin,
        "ear_red": points.within("left_ear", "right_ear"),
        "nostril": nostril * under_nose,
        "oil": (
            0.55
            + 0.45 * points.around(0.0, brow_y + 0.022, 0.035, 0.02)
            + 0.55 * points.near(30, 0.013, 0.03)
            + 0.35 * points.around(0.038, eye_y - 0.024, 0.018, 0.014)
            - 0.2 * (1 - points.front)
        ),
    }


def _blemishes(points: Points) -> Maps:
    """Freckles, age spots and moles, several independent maps of each."""
    patchy, spot_patch = 0.35 * points.noise(0.02, 1, 6), 0.5 * points.noise(0.03, 1, 8)
    sunny = points.around(0.030, points.eye[1] - 0.028, 0.030, 0.022)
    sunny = sunny + points.near(30, 0.016, 0.03)
    sunny = (sunny.clamp(0, 1) + 0.25 * points.front) * points.bare
    maps = {}
    for k in range(2):
        freckles = smoothstep(1.0, 2.1, points.noise(0.0017, 1, 50 + k) + patchy)
        spots = smoothstep(1.25, 1.9, points.noise(0.0075, 1, 60 + k) + spot_patch)
        maps[f"freckles_{k}"] = freckles * sunny
        maps[f"spots_{k}"] = spots * (points.front * 0.6 + 0.4) * points.bare
        maps[f"moles_{k}"] = _moles(points, _SEED + 70 + k) * points.bare
    return maps


def _moles(points: Points, seed: int) -> Tensor:
    """Round moles of 1 to 3 mm at random places of the face."""
    generator = torch.Generator().manual_seed(seed)
    on_face = torch.nonzero(points.front > 0.5).squeeze(1)
    chosen = on_face[torch.randint(len(on_face), (_MOLES,), generator=generator)]
    radii = 0.0006 + 0.0010 * torch.rand(_MOLES, generator=generator) ** 2
    total = torch.zeros(len(points.positions))
    for center, radius in zip(points.positions[chosen], radii.tolist(), strict=True):
        distance = length(points.positions - center)
        total = torch.maximum(total, smoothstep(1.5 * radius, 0.6 * radius, distance))
    return total


def _eyes(points: Points) -> Maps:
    """Lids, lash line, make-up, shadows below the eye."""
    mark, eye = points.mark, points.eye
    x, y, _ = points.mirrored.unbind(-1)
    curve = smooth_curve(mark[LEFT_EYE], 60, closed=True)
    distance = points.distance(torch.cat([curve, curve[:1]]), 0.032)
    opening = inside_polygon(points.mirrored[:, :2], curve[:, :2])
    on_lid = points.front * points.skin
    # Above the line from the inner to the outer corner.
    inner, outer = mark[42], mark[45]
    along = ((x - inner[0]) / (outer[0] - inner[0])).clamp(-0.3, 1.3)
    upper = smoothstep(-0.0015, 0.0015, y - (inner[1] + along * (outer[1] - inner[1])))
    bag = bell(x - eye[0] + 0.003, 0.015) * bell(y - eye[1] + 0.0115, 0.0060)
    inner_corner = bell(x - inner[0] + 0.003, 0.006) * bell(y - eye[1] + 0.001, 0.009)
    inside = opening * on_lid
    return {
        "under_eye": (bag + 0.6 * inner_corner) * on_lid,
        "lid": bell(distance, 0.0075) * on_lid,
        "lash_line": bell(distance, 0.0010) * on_lid * (0.35 + 0.65 * upper),
        "eye_shadow": bell((distance - 0.0035).clamp(min=0), 0.0060) * on_lid * upper,
        "eyeliner": bell(distance - 0.0004, 0.0015) * on_lid * (0.25 + 0.75 * upper),
        "waterline": inside * smoothstep(0.0003, 0.0012, distance),
        "wet": (inside + points.within("inner_mouth")).clamp(0, 1),
        "brow_shadow": bell(points.distance(brow_curve(), 0.05), 0.0042) * points.front,
    }


def _mouth(points: Points, fine: Tensor, medium: Tensor) -> Maps:
    """Lips with their lines and the dark line between them, and what is seen behind it."""
    mark = points.mark
    outline = smooth_curve(mark[OUTER_LIP], 60, closed=True)
    border = points.distance(torch.cat([outline, outline[:1]]), 0.05)
    parting = points.distance(smooth_curve(mark[[48, 60, 61, 62, 63, 64, 54]], 32), 0.05)
    teeth = points.made_of(Piece.UPPER_TEETH, Piece.LOWER_TEETH)
    gums = points.made_of(Piece.UPPER_GUMS, Piece.LOWER_GUMS)
    lines = sine(points.positions[:, 0] * 5200 + 2.5 * medium) * 0.5 + 0.5 * fine
    return {
        "lip": points.lip * smoothstep(-0.0002, 0.0016, border),
        "lip_line": points.lip * bell(parting, 0.0013),
        "lip_height": lines * points.lip * 6e-5,
        "mouth_dark": points.within("inner_mouth") * (1 - teeth - gums),
        "tooth": teeth,
        "gum": gums,
        # They lie in the cheeks' shadow.
        "teeth_back": teeth * smoothstep(0.016, 0.026, points.mirrored[:, 0]),
    }


def _hair(points: Points, medium: Tensor) -> Maps:
    """Where beard and scalp hair grow."""
    x, y, z = points.mirrored.unbind(-1)
    nose_base, lip, corner, chin = points.mark[[33, 51, 54, 8]]
    above_border = hairline_height(points.positions)
    high, thin = recession(points.positions)
    cheek_line = corner[1] + 0.018 + 0.75 * (x - corner[0].abs()).clamp(min=0)
    below_lip = bell(x, 0.006) * bell(y - corner[1] + 0.012, 0.006)
    jaw = (
        smoothstep(0.010, -0.012, y - cheek_line)
        * smoothstep(-0.052, -0.020, y - chin[1])
        * smoothstep(-0.105, -0.075, z - nose_base[2])
        * smoothstep(0.0, -0.020, y - nose_base[1] + 0.006)
        * (1 - 0.65 * below_lip)
    )
    moustache = points.around(0.011, 0.5 * (nose_base[1] + lip[1]), 0.014, 0.007)
    sideburn = smoothstep(0.004, -0.01, above_border) * bell(z - points.eye[2] + 0.058, 0.013)
    beard = torch.maximum(jaw, moustache) + 0.7 * sideburn * bell(y, 0.05)
    return {
        "beard_shadow": beard * points.bare,
        "hair": above_border + 0.0008 * medium - 0.1 * points.within("left_ear", "right_ear"),
        "high": high,
        "thin": thin,
    }


def _relief(points: Points, fine: Tensor) -> Maps:
    """Pores and wrinkles, as pigment and as height in metres."""
    wobble, broken = points.noise(0.022, 2, 11), points.noise(0.016, 1, 13)
    wrinkles = wrinkle_depth(points.positions, wobble, broken) * points.front * points.bare
    # Thin old skin is creased all over, more round the eyes.
    crepe = points.noise(0.0022, 2, 14) * points.bare
    pores = 0.5 * fine + 0.5 * points.noise(0.0009, 1, 12)
    return {
        "pores": fine * points.skin * (1 - 0.6 * points.lip),
        "wrinkles": wrinkles,
        "pore_height": pores * 3.6e-5 * points.bare,
        "wrinkle_height": -6.5e-4 * wrinkles + 4e-5 * crepe,
    }
