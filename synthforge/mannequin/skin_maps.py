"""Identity-independent maps of the skin in UV space, made once from the neutral head.

A person's skin is a linear mix of these in log-albedo (albedo.py): each map tells where a pigment
or a surface feature sits, between 0 and 1 or as zero-mean noise.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.landmarks import INNER_LIP, LEFT_EYE, OUTER_LIP
from synthforge.mannequin.fields import (
    bell,
    inside_polygon,
    segment_distance,
    smooth_curve,
    smoothstep,
    value_noise,
)
from synthforge.mannequin.hairline import hairline_height, recession
from synthforge.mannequin.template import Template, brow_curve, template
from synthforge.mannequin.uv_grid import UvGrid, uv_grid
from synthforge.mannequin.wrinkles import wrinkle_depth
from synthforge.regions import REGION_ID

TEXTURE_SIZE = 768
_NOISE_SEED = 20240607

# Order of the mixed maps.
PIGMENT_MAPS = (
    "base",
    "mottling_red",
    "mottling_brown",
    "mottling_other",
    "blush",
    "nose_red",
    "ear_red",
    "under_eye",
    "lid",
    "lip",
    "lip_line",
    "lip_texture",
    "freckles_0",
    "freckles_1",
    "spots_0",
    "spots_1",
    "moles_0",
    "moles_1",
    "moles_2",
    "moles_3",
    "pores",
    "beard_shadow",
    "brow_shadow",
    "lash_line",
    "eye_shadow",
    "eyeliner",
    "waterline",
    "nostril",
    "mouth_dark",
    "wrinkles",
    "forehead",
    "neck",
)


@dataclass(frozen=True)
class SkinMaps:
    """pigments: float32 [K, S * S] in the order of PIGMENT_MAPS.

    bump_pores, bump_wrinkles, bump_lips: float32 [2, S * S], d(height)/d(u, v) in metres per
        texture width. covered: bool [S, S].
    gloss: float32 [3, S * S]: how oily the skin is by place, lips, wet (waterline, inner mouth).
    hairline: float32 [3, S * S], metres above the border of the scalp hair, and how far that
        border recedes where the hairline is high and where hair thins.
    """

    pigments: Tensor
    bump_pores: Tensor
    bump_wrinkles: Tensor
    bump_lips: Tensor
    gloss: Tensor
    hairline: Tensor


@functools.cache
def skin_maps(device: torch.device | str = "cpu") -> SkinMaps:
    """All maps at TEXTURE_SIZE on `device`."""
    if torch.device(device).type != "cpu":
        maps = skin_maps("cpu")
        return SkinMaps(*(getattr(maps, name).to(device) for name in SkinMaps.__annotations__))
    head = template("cpu")
    grid = uv_grid(head, TEXTURE_SIZE)
    region = head.region[grid.face]
    features = _features(head, grid, region)
    size = TEXTURE_SIZE

    def full(values: Tensor) -> Tensor:
        return values.float().index_select(0, grid.source)

    pigments = torch.stack([full(features[name]) for name in PIGMENT_MAPS])
    noise = full(features["pore_height"]).view(size, size)
    wrinkle = full(features["wrinkle_height"]).view(size, size)
    lips = full(features["lip_height"]).view(size, size)
    return SkinMaps(
        pigments=pigments,
        bump_pores=_gradient(noise),
        bump_wrinkles=_gradient(wrinkle),
        bump_lips=_gradient(lips),
        gloss=torch.stack([full(features[name]) for name in ("oil", "lip", "wet")]),
        hairline=torch.stack([full(features[name]) for name in ("hair", "high", "thin")]),
    )


def _gradient(height: Tensor) -> Tensor:
    """[S, S] heights in metres -> d/du, d/dv per texture width, [2, S * S]."""
    size = height.shape[0]
    padded = F.pad(height[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    du = (padded[1:-1, 2:] - padded[1:-1, :-2]) * (size / 2)
    dv = (padded[:-2, 1:-1] - padded[2:, 1:-1]) * (size / 2)
    return torch.stack([du.flatten(), dv.flatten()]).clamp(-0.6, 0.6)


def _features(head: Template, grid: UvGrid, region: Tensor) -> dict[str, Tensor]:
    """Every map as a value per texel [N]."""
    p = grid.positions
    side = p.abs() * torch.tensor([1.0, 0, 0]) + p * torch.tensor([0.0, 1, 1])
    x, y, z = side.unbind(-1)
    mark = head.landmarks
    eye = mark[LEFT_EYE].mean(0)
    mouth = mark[INNER_LIP].mean(0)
    nose_tip, nose_base, ala = mark[30], mark[33], mark[35]
    corner = mark[54]
    front = smoothstep(-0.035, 0.0, z - eye[2] + 0.02)
    chin_y = mark[8, 1]

    def at(center: Tensor, width_x: float, width_y: float) -> Tensor:
        return bell(x - center[0].abs(), width_x) * bell(y - center[1], width_y) * front

    def in_region(*names: str) -> Tensor:
        return torch.stack([region == REGION_ID[name] for name in names]).any(0)

    ball = in_region("right_eyeball", "left_eyeball")
    lip = in_region("upper_lip", "lower_lip")
    inner = in_region("inner_mouth")
    skin = (~ball & ~inner).float()

    xy = side[:, :2]
    eye_curve = smooth_curve(mark[LEFT_EYE], 60, closed=True)[:, :2]
    near_eye = (xy - eye[:2]).norm(dim=-1) < 0.032
    eye_distance = torch.full_like(x, 0.05)
    eye_distance[near_eye] = segment_distance(xy[near_eye], torch.cat([eye_curve, eye_curve[:1]]))
    eye_inside = torch.zeros_like(near_eye)
    eye_inside[near_eye] = inside_polygon(xy[near_eye], eye_curve)
    on_lid = front * skin
    upper = smoothstep(-0.0015, 0.0015, y - _lid_axis(x, mark))

    outer = smooth_curve(mark[OUTER_LIP], 60, closed=True)[:, :2]
    near_mouth = (p[:, :2] - mouth[:2]).norm(dim=-1) < 0.05
    lip_distance = torch.full_like(x, 0.05)
    lip_distance[near_mouth] = segment_distance(p[near_mouth, :2], torch.cat([outer, outer[:1]]))
    lip_soft = lip.float() * smoothstep(-0.0002, 0.0016, lip_distance)
    parting = smooth_curve(mark[[48, 60, 61, 62, 63, 64, 54]], 32)
    parting_distance = torch.full_like(x, 0.05)
    parting_distance[near_mouth] = segment_distance(p[near_mouth, :2], parting[:, :2])

    brow = brow_curve(head)
    near_brow = (xy - brow[:, :2].mean(0)).norm(dim=-1) < 0.05
    brow_distance = torch.full_like(x, 0.05)
    brow_distance[near_brow] = segment_distance(xy[near_brow], brow[:, :2])

    hair = hairline_height(p, head)
    jaw = smoothstep(0.0, -0.020, y - (nose_base[1] - 0.006))
    cheek_line = corner[1] + 0.018 + (x - corner[0].abs()).clamp(min=0) * 0.75
    beard_zone = (
        smoothstep(0.010, -0.012, y - cheek_line)
        * smoothstep(-0.052, -0.020, y - chin_y)
        * smoothstep(-0.105, -0.075, z - nose_base[2])
        * (1 - 0.65 * bell(x, 0.006) * bell(y - corner[1] + 0.012, 0.006))
    )
    moustache = at(torch.tensor([0.011, float(nose_base[1] + mark[51, 1]) / 2, 0]), 0.014, 0.007)
    sideburn = smoothstep(0.004, -0.01, hair) * bell(z - eye[2] + 0.058, 0.013)
    stubble_zone = (
        (torch.maximum(beard_zone * jaw, moustache) + 0.7 * sideburn * bell(y, 0.05))
        * (1 - lip.float())
        * skin
    )

    def noise(wavelength: float, octaves: int, offset: int) -> Tensor:
        return value_noise(p, wavelength, octaves, _NOISE_SEED + offset)

    fine = noise(0.0016, 2, 1)
    medium = noise(0.006, 2, 2)
    broad = noise(0.025, 2, 3)
    broad_brown = noise(0.020, 2, 4)
    patchy = 0.35 * noise(0.02, 1, 6)
    freckle = [smoothstep(1.0, 2.1, noise(0.0017, 1, 50 + k) + patchy) for k in range(2)]
    freckle_zone = (
        at(torch.tensor([0.030, float(eye[1]) - 0.028, 0]), 0.030, 0.022)
        + at(nose_tip, 0.016, 0.03)
    ).clamp(0, 1) + 0.25 * front
    spot_patch = 0.5 * noise(0.03, 1, 8)
    spot = [smoothstep(1.25, 1.9, noise(0.0075, 1, 60 + k) + spot_patch) for k in range(2)]
    bare = skin * (1 - lip.float())
    mole = [_moles(p, front > 0.5, _NOISE_SEED + 70 + k) for k in range(4)]
    ear = in_region("left_ear", "right_ear").float()
    wrinkle = (
        wrinkle_depth(x, y, p[:, 0], z, head, noise(0.012, 2, 11))
        * front
        * skin
        * (1 - lip.float())
    )
    nostril_points = (mark[32] + mark[33]) / 2 * 0.0 + torch.stack(
        [(mark[34, 0] * 0.5 + ala[0] * 0.5).abs(), nose_base[1] + 0.0005, nose_base[2]]
    )
    under_nose = smoothstep(-0.2, -0.75, grid.normals[:, 1])
    nostril = (
        bell(x - nostril_points[0], 0.0034) * bell(y - nostril_points[1], 0.0040) * under_nose
    ) * (z > nose_base[2] - 0.02)

    high, thin = recession(p)
    lip_lines = torch.sin(p[:, 0] * 5200 + 2.5 * medium) * 0.5 + 0.5 * fine
    return {
        "base": torch.ones_like(x),
        "mottling_red": (broad + 0.5 * medium) * skin,
        "mottling_brown": (broad_brown + 0.6 * medium) * skin,
        "mottling_other": noise(0.016, 2, 80) * skin,
        "blush": at(torch.tensor([0.043, float(eye[1]) - 0.034, 0]), 0.020, 0.017) * skin,
        "nose_red": (
            at(nose_tip, 0.016, 0.013)
            + 0.6 * at(ala, 0.007, 0.008)
            + 0.35 * at(mark[8], 0.022, 0.014)
        )
        * skin,
        "ear_red": ear,
        "under_eye": (
            bell(x - eye[0] + 0.003, 0.015) * bell(y - eye[1] + 0.0115, 0.0060) * on_lid
            + 0.6 * bell(x - mark[42, 0] + 0.003, 0.006) * bell(y - eye[1] + 0.001, 0.009) * on_lid
        ),
        "lid": bell(eye_distance, 0.0075) * on_lid,
        "lip": lip_soft,
        "lip_line": lip.float() * bell(parting_distance, 0.0013),
        "lip_texture": lip_lines * lip.float(),
        **{f"freckles_{k}": freckle[k] * freckle_zone * bare for k in range(2)},
        **{f"spots_{k}": spot[k] * (front * 0.6 + 0.4) * bare for k in range(2)},
        **{f"moles_{k}": mole[k] * bare for k in range(4)},
        "pores": fine * skin * (1 - 0.6 * lip.float()),
        "beard_shadow": stubble_zone,
        "brow_shadow": bell(brow_distance, 0.0042) * front,
        "lash_line": bell(eye_distance, 0.0010) * on_lid * (0.35 + 0.65 * upper),
        "eye_shadow": bell((eye_distance - 0.0035).clamp(min=0), 0.0060) * on_lid * upper,
        "eyeliner": bell(eye_distance - 0.0004, 0.0015) * on_lid * (0.25 + 0.75 * upper),
        "waterline": (eye_inside & ~ball).float()
        * on_lid
        * smoothstep(0.0003, 0.0012, eye_distance),
        "nostril": nostril,
        "mouth_dark": inner.float(),
        "wrinkles": wrinkle,
        "forehead": smoothstep(0.01, 0.03, y - brow[:, 1].mean()) * front,
        "neck": smoothstep(
            -0.012, -0.035, y - chin_y + 0.35 * (nose_base[2] - z - 0.03).clamp(min=0)
        ),
        "pore_height": (fine * 0.5 + 0.5 * noise(0.0009, 1, 12))
        * 2.2e-5
        * skin
        * (1 - lip.float()),
        "wrinkle_height": -wrinkle * 5.5e-4,
        "lip_height": lip_lines * lip.float() * 6e-5,
        "hair": hair + 0.0008 * medium - 0.1 * ear,
        "high": high,
        "thin": thin,
        "oil": (
            0.55
            + 0.45 * at(torch.tensor([0.0, float(brow[:, 1].mean()) + 0.022, 0]), 0.035, 0.02)
            + 0.55 * at(nose_tip, 0.013, 0.03)
            + 0.25 * at(torch.tensor([0.038, float(eye[1]) - 0.022, 0]), 0.016, 0.012)
            - 0.2 * (1 - front)
        ),
        "wet": ((eye_inside & ~ball).float() * on_lid + inner.float()).clamp(0, 1),
    }


def _moles(points: Tensor, face: Tensor, seed: int, count: int = 5) -> Tensor:
    """Round moles of 1 to 3 mm at random places of the face (bool [N]): [N]."""
    generator = torch.Generator().manual_seed(seed)
    on_face = face.nonzero().squeeze(1)
    chosen = on_face[torch.randint(len(on_face), (count,), generator=generator)]
    radii = 0.0006 + 0.0010 * torch.rand(count, generator=generator) ** 2
    total = torch.zeros(len(points))
    for center, radius in zip(points[chosen], radii.tolist(), strict=True):
        distance = (points - center).square().sum(-1).sqrt()
        total = torch.maximum(total, smoothstep(1.5 * radius, 0.6 * radius, distance))
    return total


def _lid_axis(x: Tensor, mark: Tensor) -> Tensor:
    """Height of the line from the inner to the outer eye corner at x."""
    inner, outer = mark[42], mark[45]
    t = ((x - inner[0]) / (outer[0] - inner[0])).clamp(-0.3, 1.3)
    return inner[1] + t * (outer[1] - inner[1])
