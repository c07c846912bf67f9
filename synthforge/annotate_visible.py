"""Labels of what the image shows, from a generator's layers. Pure functions, as in annotate.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.annotate import Keypoints, depth16
from synthforge.camera import Camera
from synthforge.frames import UNITS_PER_METRE
from synthforge.generator import GeneratorOutput, Layers
from synthforge.parsing import Parsing
from synthforge.rasterizer import Fragments
from synthforge.regions import REGION_ID
from synthforge.visible import FIRST_OVER, UNKNOWN

# A volume this near to the head's surface is that surface: 15 mm, in generator units.
_SAME_SURFACE = 0.015 * UNITS_PER_METRE
_SCALP = REGION_ID["scalp"]
# Weights of the rays round a pixel add up to 1, but for rounding.
_ALL = 0.999


def layers_of_volume(
    output: GeneratorOutput, camera: Camera, fragments: Fragments, region_ids: Tensor
) -> Layers:
    """What a generator's volume proves, for one that hands over no layers.

    A ray sees the head where its surface is the head's, and nothing where neither has one. A pixel
    has its region, or is background, if all rays round it see that; else it is unknown, and so is
    the scalp, whose hair may lie as near as that. Where its own ray sees the head, the unknown is
    said to cover half of it, so that it hides no keypoint. Opacity is the matte.
    """
    size, rays = region_ids.shape[1:], output.opacity.shape[2:]

    def enlarged(image: Tensor, mode: str) -> Tensor:
        return F.interpolate(image, size, mode=mode)[:, 0]

    def on_all_rays(seen: Tensor) -> Tensor:
        return enlarged(seen.float(), "bilinear") > _ALL

    z, solid = camera.z_depth(output.ray_distance), output.opacity > 0.5
    of_head = F.interpolate(fragments.z[:, None], rays, mode="nearest-exact")
    head = F.interpolate(fragments.covered[:, None].float(), rays, mode="nearest-exact") > 0
    sees_head = solid & head & ((z - of_head).abs() < _SAME_SURFACE)
    proved = torch.where(
        fragments.covered,
        on_all_rays(sees_head) & (region_ids != _SCALP),
        on_all_rays(~solid & ~head),
    )
    own = enlarged(sees_head.float(), "nearest")
    return Layers(
        ids=region_ids.masked_fill(~proved, UNKNOWN),
        cover=torch.where(proved, 0.0, 1 - own / 2),
        alpha=enlarged(output.opacity, "bilinear").clamp(0, 1),
        z=enlarged(torch.where(solid, z, 0.0), "nearest"),
    )


def visible_ids(layers: Layers, region_ids: Tensor) -> Tensor:
    """Class of every pixel: uint8 [B, H, W], ids of `synthforge.visible`.

    The bare head's region_ids, [B, H, W], wherever nothing else shows.
    """
    return torch.where(layers.cover > 0, layers.ids, region_ids)


def alpha8(layers: Layers) -> Tensor:
    """The person's matte in 255ths, uint8 [B, H, W]."""
    return (layers.alpha * 255).round().to(torch.uint8)


def visible_depth16(layers: Layers, fragments: Fragments) -> Tensor:
    """z-depth of what is seen, in the steps of `depth16`: int32 [B, H, W]."""
    is_over = layers.cover > 0
    z = torch.where(is_over, layers.z, fragments.z)
    return depth16(z, torch.where(is_over, layers.z > 0, fragments.covered))


def parsing(visible_ids: Tensor, scheme: Parsing) -> Tensor:
    """Classes of another set: uint8 [B, H, W]."""
    table = torch.from_numpy(scheme.table).to(visible_ids.device)
    return table.index_select(0, visible_ids.flatten().int()).view_as(visible_ids)


def occluded(keypoints: Keypoints, layers: Layers) -> Tensor:
    """Which keypoints something else than the head hides: bool [B, N].

    Most of the point's pixel shows something that is nearer than the point; of what is unknown, by
    more than the head's own surface may be.
    """
    size = layers.ids.shape[-1]
    column, row = keypoints.px.floor().long().clamp(0, size - 1).unbind(-1)
    pixel = row * size + column
    ids, cover, z = (
        image.flatten(1).gather(1, pixel) for image in (layers.ids, layers.cover, layers.z)
    )
    inside = ((keypoints.px >= 0) & (keypoints.px < size)).all(-1)
    nearer = torch.where(ids == UNKNOWN, z + _SAME_SURFACE, z) < keypoints.cam[..., 2]
    in_front = (ids >= FIRST_OVER) & (cover > 0.5) & (z > 0) & nearer
    return inside & in_front
