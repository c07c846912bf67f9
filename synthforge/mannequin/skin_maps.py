"""Identity-independent maps of the skin in UV space, made once from the neutral head.

A person's skin is a linear mix of these in log-albedo (albedo.py): each map tells where a pigment
or a surface feature sits, between 0 and 1 or as zero-mean noise.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from synthforge.landmarks import INNER_LIP, LEFT_BROW, LEFT_EYE, OUTER_LIP
from synthforge.mannequin.template import Template, template
from synthforge.rasterizer import rasterize
from synthforge.regions import REGION_ID

TEXTURE_SIZE = 1024
_NOISE_SEED = 20240607

# Order of the mixed maps.
PIGMENT_MAPS = (
    "base",
    "mottling_red",
    "mottling_brown",
    "blush",
    "nose_red",
    "ear_red",
    "under_eye",
    "lid",
    "lip",
    "lip_line",
    "lip_texture",
    "freckles",
    "spots",
    "moles",
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


def smoothstep(low: float, high: float, x: Tensor) -> Tensor:
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def bell(x: Tensor, width: float) -> Tensor:
    return torch.exp(-((x / width) ** 2))


def segment_distance(points: Tensor, polyline: Tensor) -> Tensor:
    """Distance of [N, D] points to a polyline [M, D]: [N]."""
    best = torch.full((len(points),), math.inf)
    for a, b in zip(polyline[:-1], polyline[1:], strict=True):
        ab = b - a
        t = (((points - a) @ ab) / (ab @ ab)).clamp(0, 1)
        best = torch.minimum(best, (points - a - t[:, None] * ab).norm(dim=-1))
    return best


def inside_polygon(points: Tensor, polygon: Tensor) -> Tensor:
    """Even-odd test of [N, 2] points in a closed polygon [M, 2]: bool [N]."""
    inside = torch.zeros(len(points), dtype=torch.bool)
    for a, b in zip(polygon, polygon.roll(-1, 0), strict=True):
        crosses = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        x = a[0] + (points[:, 1] - a[1]) / (b[1] - a[1] + 1e-12) * (b[0] - a[0])
        inside ^= crosses & (points[:, 0] < x)
    return inside


def smooth_curve(points: Tensor, samples: int, closed: bool = False) -> Tensor:
    """Catmull-Rom curve through [M, D] points: [samples, D]."""
    if closed:
        padded = torch.cat([points[-1:], points, points[:2]])
        spans = len(points)
    else:
        padded = torch.cat([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
        spans = len(points) - 1
    t = torch.linspace(0, spans, samples, device=points.device).clamp(max=spans - 1e-4)
    i = t.long()
    f = (t - i)[:, None]
    p0, p1, p2, p3 = (padded[i + k] for k in range(4))
    return 0.5 * (
        2 * p1 + (p2 - p0) * f + (2 * p0 - 5 * p1 + 4 * p2 - p3) * f**2
        + (3 * p1 - p0 - 3 * p2 + p3) * f**3
    )


def value_noise(points: Tensor, wavelength: float, octaves: int, seed: int) -> Tensor:
    """Smooth noise over [N, 3] points in metres, about zero mean and unit variance: [N]."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(len(points))
    power = 0.0
    for octave in range(octaves):
        size, amplitude = 48, 0.6**octave
        lattice = torch.randn(1, 1, size, size, size, generator=generator)
        lattice = F.pad(lattice, (0, 1, 0, 1, 0, 1), mode="circular")
        cell = points * (2**octave / wavelength) / size
        grid = (cell - torch.floor(cell)) * 2 - 1
        noise = F.grid_sample(lattice, grid.view(1, 1, 1, -1, 3), align_corners=True)
        total += amplitude * noise.view(-1)
        power += (0.55 * amplitude) ** 2
    return total / math.sqrt(power)


@dataclass(frozen=True)
class UvGrid:
    """The head surface at the texels: positions, normals float32 [N, 3]; face, texel int64 [N]."""

    positions: Tensor
    normals: Tensor
    face: Tensor
    texel: Tensor
    nearest: Tensor


def uv_grid(head: Template, size: int) -> UvGrid:
    """Rasterize the UV layout. Row 0 of a texture is v = 1."""
    ndc = torch.cat([1 - 2 * head.uvs[:, :1], 2 * head.uvs[:, 1:] - 1], 1)
    ndc = torch.cat([ndc, torch.ones(len(ndc), 1)], 1)[None]
    fragments = rasterize(ndc, head.uv_faces, size, size, perspective_correct=False)
    corners = torch.cat([head.vertices, head.normals], 1)[head.faces]
    values = fragments.interpolate(corners).view(-1, 6)
    covered = fragments.covered[0]
    texel = covered.flatten().nonzero().squeeze(1)
    # Texels outside every chart copy their nearest covered one, so that filtering never bleeds.
    rows, columns = ndimage.distance_transform_edt(
        ~covered.numpy(), return_distances=False, return_indices=True
    )
    nearest = torch.from_numpy(rows.astype("int64") * size + columns).flatten()
    return UvGrid(
        positions=values[texel, :3],
        normals=values[texel, 3:],
        face=fragments.face_ids.flatten()[texel],
        texel=texel,
        nearest=nearest,
    )


def hairline_height(points: Tensor, head: Template) -> Tensor:
    """Signed height in metres above the border of the scalp hair; positive where hair grows.

    points: [N, 3] on the neutral head. The border runs from the forehead over the temple, in
    front of the ear and behind it to the nape.
    """
    brow_y = head.landmarks[LEFT_BROW, 1].mean()
    ear_y = head.landmarks[36, 1] - 0.008
    x, y, z = points.unbind(-1)
    # Height of the hairline by depth z from the brow's, in metres from brow height.
    front_z = head.landmarks[27, 2]
    knots = torch.tensor(
        [
            [-0.200, -0.105],
            [-0.168, -0.100],
            [-0.140, -0.082],
            [-0.115, -0.045],
            [-0.097, -0.012],
            [-0.084, -0.006],
            [-0.074, -0.028],
            [-0.063, -0.024],
            [-0.052, 0.006],
            [-0.042, 0.026],
            [-0.028, 0.036],
            [-0.012, 0.044],
            [0.010, 0.048],
        ]
    )
    del ear_y
    border = _interpolate(z - front_z, *knots.T.contiguous())
    widow = 0.004 * bell(x, 0.012) - 0.004 * bell(x.abs() - 0.032, 0.012)
    return y - brow_y - border + widow * smoothstep(-0.04, 0.0, z - front_z)


def recession(points: Tensor) -> tuple[Tensor, Tensor]:
    """How far the hairline recedes at points [N, 3], metres: for a high one, for thinning hair."""
    x, _, z = points.unbind(-1)
    front = torch.sigmoid(z * 120)
    temple = bell(x.abs() - 0.038, 0.016)
    return 0.014 * front, 0.026 * front * temple


def _interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    index = torch.searchsorted(knots, x.contiguous()).clamp(1, len(knots) - 1)
    low, high = knots[index - 1], knots[index]
    t = ((x - low) / (high - low)).clamp(0, 1)
    return values[index - 1] + t * (values[index] - values[index - 1])


def brow_curve(head: Template) -> Tensor:
    """The subject's left brow, inner to outer end: float32 [64, 3]."""
    points = head.landmarks[LEFT_BROW]
    return smooth_curve(points, 64)


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
        image = torch.zeros(size * size)
        image[grid.texel] = values.float()
        return image[grid.nearest]

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
    eye_curve = smooth_curve(mark[LEFT_EYE], 96, closed=True)[:, :2]
    near_eye = (xy - eye[:2]).norm(dim=-1) < 0.05
    eye_distance = torch.full_like(x, 0.05)
    eye_distance[near_eye] = segment_distance(xy[near_eye], torch.cat([eye_curve, eye_curve[:1]]))
    eye_inside = torch.zeros_like(near_eye)
    eye_inside[near_eye] = inside_polygon(xy[near_eye], eye_curve)
    on_lid = front * skin
    upper = smoothstep(-0.0015, 0.0015, y - _lid_axis(x, mark))

    outer = smooth_curve(mark[OUTER_LIP], 120, closed=True)[:, :2]
    near_mouth = (p[:, :2] - mouth[:2]).norm(dim=-1) < 0.05
    lip_distance = torch.full_like(x, 0.05)
    lip_distance[near_mouth] = segment_distance(
        p[near_mouth, :2], torch.cat([outer, outer[:1]])
    )
    lip_soft = lip.float() * smoothstep(-0.0002, 0.0016, lip_distance)
    parting = smooth_curve(mark[[48, 60, 61, 62, 63, 64, 54]], 60)
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
    stubble_zone = (torch.maximum(beard_zone * jaw, moustache) + 0.7 * sideburn * bell(y, 0.05)) * (
        1 - lip.float()
    ) * skin

    def noise(wavelength: float, octaves: int, offset: int) -> Tensor:
        return value_noise(p, wavelength, octaves, _NOISE_SEED + offset)

    fine = noise(0.0016, 2, 1)
    medium = noise(0.006, 3, 2)
    broad = noise(0.025, 3, 3)
    broad_brown = noise(0.020, 3, 4)
    freckle = smoothstep(0.9, 1.9, noise(0.0030, 1, 5) + 0.35 * noise(0.02, 2, 6))
    freckle_zone = (
        at(torch.tensor([0.030, float(eye[1]) - 0.028, 0]), 0.030, 0.022) + at(nose_tip, 0.016, 0.03)
    ).clamp(0, 1) + 0.25 * front
    spot = smoothstep(1.25, 1.9, noise(0.0075, 2, 7) + 0.5 * noise(0.03, 1, 8))
    mole = smoothstep(2.9, 3.3, noise(0.0050, 1, 9))
    ear = in_region("left_ear", "right_ear").float()
    wrinkle = _wrinkles(x, y, p[:, 0], z, head, noise(0.012, 2, 11)) * front * skin * (1 - lip.float())
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
        "blush": at(torch.tensor([0.043, float(eye[1]) - 0.034, 0]), 0.020, 0.017) * skin,
        "nose_red": (
            at(nose_tip, 0.016, 0.013) + 0.6 * at(ala, 0.007, 0.008)
            + 0.35 * at(mark[8], 0.022, 0.014)
        ) * skin,
        "ear_red": ear,
        "under_eye": (
            bell(x - eye[0] + 0.003, 0.015) * bell(y - eye[1] + 0.0115, 0.0060) * on_lid
            + 0.6 * bell(x - mark[42, 0] + 0.003, 0.006) * bell(y - eye[1] + 0.001, 0.009) * on_lid
        ),
        "lid": bell(eye_distance, 0.0075) * on_lid,
        "lip": lip_soft,
        "lip_line": lip.float() * bell(parting_distance, 0.0013),
        "lip_texture": lip_lines * lip.float(),
        "freckles": freckle * freckle_zone * skin * (1 - lip.float()),
        "spots": spot * (front * 0.6 + 0.4) * skin * (1 - lip.float()),
        "moles": mole * skin * (1 - lip.float()),
        "pores": fine * skin * (1 - 0.6 * lip.float()),
        "beard_shadow": stubble_zone,
        "brow_shadow": bell(brow_distance, 0.0042) * front,
        "lash_line": bell(eye_distance, 0.0010) * on_lid * (0.35 + 0.65 * upper),
        "eye_shadow": bell((eye_distance - 0.0035).clamp(min=0), 0.0060) * on_lid * upper,
        "eyeliner": bell(eye_distance - 0.0004, 0.0015) * on_lid * (0.25 + 0.75 * upper),
        "waterline": (eye_inside & ~ball).float() * on_lid * smoothstep(0.0003, 0.0012, eye_distance),
        "nostril": nostril,
        "mouth_dark": inner.float(),
        "wrinkles": wrinkle,
        "forehead": smoothstep(0.01, 0.03, y - brow[:, 1].mean()) * front,
        "neck": smoothstep(-0.012, -0.035, y - chin_y + 0.35 * (nose_base[2] - z - 0.03).clamp(min=0)),
        "pore_height": (fine * 0.5 + 0.5 * noise(0.0009, 1, 12)) * 2.2e-5 * skin * (1 - lip.float()),
        "wrinkle_height": -wrinkle * 5.5e-4,
        "lip_height": lip_lines * lip.float() * 6e-5,
        "hair": hair + 0.0015 * medium - 0.1 * ear,
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


def _lid_axis(x: Tensor, mark: Tensor) -> Tensor:
    """Height of the line from the inner to the outer eye corner at x."""
    inner, outer = mark[42], mark[45]
    t = ((x - inner[0]) / (outer[0] - inner[0])).clamp(-0.3, 1.3)
    return inner[1] + t * (outer[1] - inner[1])


def _wrinkles(
    x: Tensor, y: Tensor, signed_x: Tensor, z: Tensor, head: Template, wobble: Tensor
) -> Tensor:
    """Depth of wrinkles, 0 to 1: forehead lines, frown, crow's feet, nasolabial, under the eye."""
    mark = head.landmarks
    brow_y = mark[LEFT_BROW, 1].mean()
    outer, eye = mark[45], mark[LEFT_EYE].mean(0)
    ala, corner = mark[35], mark[54]
    total = torch.zeros_like(x)
    for k, strength in enumerate((0.55, 0.8, 0.7, 0.45)):
        line = brow_y + 0.014 + 0.0088 * k + 0.0012 * wobble + 0.003 * bell(x - 0.03, 0.02)
        total += strength * bell(y - line, 0.0011) * smoothstep(0.052, 0.030, x)
    frown = bell(x - 0.0085 - 0.0006 * wobble, 0.0010) * bell(y - brow_y + 0.002, 0.010)
    total += 0.55 * frown * (1 + 0.2 * torch.sign(signed_x))
    dx, dy = x - outer[0] + 0.004, y - outer[1]
    angle, radius = torch.atan2(dy, dx), torch.sqrt(dx * dx + dy * dy)
    for direction in (0.55, 0.18, -0.2, -0.55):
        arc = (angle - direction + 0.05 * wobble) * radius
        total += 0.55 * bell(arc, 0.0009) * smoothstep(0.007, 0.011, radius) * smoothstep(
            0.026, 0.014, radius
        )
    fold_x = ala[0] + 0.0035 + (ala[1] + 0.004 - y) / (ala[1] - corner[1] + 0.012) * (
        corner[0] + 0.009 - ala[0] - 0.0035
    )
    fold = bell(x - fold_x - 0.0005 * wobble, 0.0020)
    total += 0.8 * fold * smoothstep(corner[1] - 0.014, corner[1] + 0.006, y) * smoothstep(
        ala[1] + 0.008, ala[1] - 0.002, y
    )
    for drop, strength in ((0.0085, 0.6), (0.0125, 0.45)):
        bag = eye[1] - drop + 8.0 * (x - eye[0]) ** 2 + 0.0004 * wobble
        total += strength * bell(y - bag, 0.0009) * bell(x - eye[0], 0.013)
    marionette = bell(x - corner[0] - 0.003 - 0.12 * (corner[1] - y), 0.0014)
    total += 0.4 * marionette * bell(y - corner[1] + 0.012, 0.009)
    return total.clamp(0, 1.2)
