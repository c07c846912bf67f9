"""Labels from what the rasterizer saw. Pure functions: fragments in, arrays out.

Depth here is z-depth along the optical axis. Tensors in, tensors out, on any device; images of
labels are quantised exactly as they are stored (docs/formats.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.camera import Camera, rotate
from synthforge.frames import DEPTH16_STEP_M, UNITS_PER_METRE
from synthforge.generator import GeneratorOutput
from synthforge.landmarks import JAW
from synthforge.mesh import Topology, unit, vertex_normals
from synthforge.rasterizer import Fragments
from synthforge.regions import BACKGROUND, PALETTE

# A keypoint farther than this behind what its pixel sees is hidden: 5 mm, in generator units.
VISIBILITY_TOLERANCE = 0.005 * UNITS_PER_METRE
# A point of an eyeball farther than this behind it is under a lid: 1 mm.
EYEBALL_TOLERANCE = 0.001 * UNITS_PER_METRE
# A point of the jaw this near to the seen outline lies on it: a 128th of the image, 4 px at 512.
OUTLINE_SHARE = 128


@dataclass(frozen=True)
class Keypoints:
    """px: [B, N, 2]. cam: [B, N, 3] camera frame, generator units. visible: bool [B, N]."""

    px: Tensor
    cam: Tensor
    visible: Tensor


def region_ids(fragments: Fragments, face_regions: Tensor) -> Tensor:
    """Region of every pixel: uint8 [B, H, W]. face_regions: [F] ids of `synthforge.regions`."""
    # Fragments.face_ids begin at -2.
    regions = F.pad(face_regions.to(torch.uint8), (2, 0), value=BACKGROUND)
    face = fragments.face_ids + 2
    return regions.index_select(0, face.view(-1)).view_as(face)


def segmentation(ids: Tensor) -> Tensor:
    """Region ids [B, H, W] -> palette colours, uint8 [B, H, W, 3] RGB; exact, never blended."""
    colors = torch.from_numpy(PALETTE).to(ids.device)
    return colors.index_select(0, ids.view(-1).int()).view(*ids.shape, 3)


def depth8(fragments: Fragments) -> tuple[Tensor, Tensor]:
    """8-bit depth, stretched to each image's own range.

    Returns uint8 [B, H, W] and (near, far) [B, 2] in generator units:
    z_depth = near + value / 255 * (far - near). Background is 255, the same as far.
    """
    covered = fragments.covered.flatten(1)
    z = fragments.z.flatten(1)
    near = torch.where(covered, z, torch.inf).amin(1)
    empty = near == torch.inf
    near, far = near.masked_fill(empty, 0), z.amax(1).masked_fill(empty, 0)
    span = (far - near).clamp_min(torch.finfo(z.dtype).tiny)
    steps = (z - near[:, None]).div_(span[:, None]).mul_(255).round_().clamp_(0, 255)
    image = steps.to(torch.uint8).masked_fill_(~covered, 255)
    return image.view_as(fragments.face_ids), torch.stack([near, far], 1)


def depth16(z_depth: Tensor, covered: Tensor) -> Tensor:
    """z-depth [B, H, W], generator units -> int32 steps of DEPTH16_STEP_M; 0 where not covered."""
    steps = (z_depth / UNITS_PER_METRE / DEPTH16_STEP_M).round().clamp(1, 65535)
    return torch.where(covered, steps, 0).int()


def volume_depth16(output: GeneratorOutput, camera: Camera) -> Tensor:
    """The generator's own depth (Next3D's includes hair and shoulders) in the steps of `depth16`.

    int32 [B, h, h] at the generator's resolution; 0 where the opacity is at most 0.5.
    """
    z_depth = camera.z_depth(output.ray_distance)
    return depth16(z_depth[:, 0], output.opacity[:, 0] > 0.5)


def normal_map(
    fragments: Fragments, vertices_gen: Tensor, topology: Topology, camera: Camera
) -> Tensor:
    """Smooth normals in the camera frame, uint8 [B, H, W, 3]: (n + 1) / 2 * 255; background 0."""
    normals_gen = vertex_normals(vertices_gen, topology)
    normals_cam = rotate(camera.R_gen_cam.transpose(1, 2), normals_gen)
    corners = normals_cam.index_select(1, topology.faces.view(-1)).view(len(normals_cam), -1, 3, 3)
    seen = unit(fragments.interpolate(corners))
    encoded = ((seen + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return encoded * fragments.covered[..., None]


def uv_map(fragments: Fragments, topology: Topology) -> Tensor:
    """Texture coordinates, int32 [B, H, W, 3]: u and v in 1/65535, then 65535 where covered."""
    uv = (fragments.interpolate(topology.face_uvs) * 65535).round().clamp(0, 65535).int()
    return torch.cat([uv, 65535 * fragments.covered[..., None].int()], -1)


def keypoints(
    landmarks_gen: Tensor,
    camera: Camera,
    fragments: Fragments,
    outline: slice = JAW,
    tolerance: Tensor | float = VISIBILITY_TOLERANCE,
) -> Keypoints:
    """Project landmarks [B, N, 3] and test them against the z-buffer.

    A keypoint is visible when it is inside the image and its pixel sees nothing nearer by more
    than the tolerance, generator units, one or [N]. For a point of the outline any pixel near it
    will do (OUTLINE_SHARE): it lies on the outline that is seen, and just inside of that the cheek
    is often nearer.
    """
    size = fragments.z.shape[-1]
    landmarks_cam = camera.to_cam(landmarks_gen)
    px = camera.cam_to_px(landmarks_cam, size)
    inside = ((px >= 0) & (px < size)).all(-1) & (landmarks_cam[..., 2] > 0)
    pixel = px.floor().long()
    farthest = _seen_z(fragments, pixel)
    reach = size // OUTLINE_SHARE
    steps = torch.arange(-reach, reach + 1, device=px.device)
    window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).view(-1, 1, 2)
    farthest[:, outline] = _seen_z(fragments, pixel[:, None, outline] + window).amax(1)
    visible = inside & (landmarks_cam[..., 2] <= farthest + tolerance)
    return Keypoints(px, landmarks_cam, visible)


def _seen_z(fragments: Fragments, pixel: Tensor) -> Tensor:
    """z of what pixels [B, ..., 2], column and row, see: [B, ...]; infinite where nothing."""
    size = fragments.z.shape[-1]
    column, row = pixel.clamp(0, size - 1).unbind(-1)
    z = fragments.z.flatten(1).gather(1, (row * size + column).flatten(1)).view(row.shape)
    return torch.where(z >= 0, z, torch.inf)
