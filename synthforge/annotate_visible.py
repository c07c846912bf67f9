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
from synthforge.visible import FIRST_OVER, UNKNOWN

# A volume this near to the head's surface is that surface: 15 mm, in generator units.
_SAME_SURFACE = 0.015 * UNITS_PER_METRE


def layers_of_volume(
    output: GeneratorOutput, camera: Camera, fragments: Fragments, region_ids: Tensor
) -> Layers:
    """What a generator's volume proves, for one that hands over no layers.

    Where its surface is the head's, that region. Where it stands before the head or beyond its
    outline, and where it lacks a surface that the head has: unknown. Opacity is the matte.
    """
    size = region_ids.shape[1:]

    def enlarged(image: Tensor, mode: str) -> Tensor:
        return F.interpolate(image, size, mode=mode)[:, 0]

    z = enlarged(camera.z_depth(output.ray_distance), "nearest")
    solid = enlarged(output.opacity, "nearest") > 0.5
    agrees = solid & fragments.covered & ((z - fragments.z).abs() < _SAME_SURFACE)
    unknown = (solid | fragments.covered) & ~agrees
    return Layers(
        ids=region_ids.masked_fill(unknown, UNKNOWN),
        cover=unknown.float(),
        alpha=enlarged(output.opacity, "bilinear").clamp(0, 1),
        z=torch.where(solid, z, 0.0),
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

    Most of the point's pixel shows something that is nearer than the point.
    """
    size = layers.ids.shape[-1]
    column, row = keypoints.px.floor().long().clamp(0, size - 1).unbind(-1)
    pixel = row * size + column
    ids, cover, z = (
        image.flatten(1).gather(1, pixel) for image in (layers.ids, layers.cover, layers.z)
    )
    inside = ((keypoints.px >= 0) & (keypoints.px < size)).all(-1)
    in_front = (ids >= FIRST_OVER) & (cover > 0.5) & (z > 0) & (z < keypoints.cam[..., 2])
    return inside & in_front
