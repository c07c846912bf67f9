"""What a face generator is: `draw` parameters, then `generate` faces from them.

`synthforge.next3d` and `synthforge.mannequin` each hold one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import torch
from torch import Tensor

from synthforge.camera import Camera
from synthforge.mesh import Mesh
from synthforge.sampling import Parameters, SampleId
from synthforge.sampling_config import SamplingConfig


@dataclass(frozen=True)
class Layers:
    """What each pixel of a batch of images shows, from the buffers that drew them.

    ids: uint8 [B, H, W], the class of `synthforge.visible` that fills most of the pixel.
    cover: float32 [B, H, W] in [0, 1], how much of it shows neither the bare head nor the empty
        background: hair, clothes, glasses, somebody else.
    alpha: float32 [B, H, W] in [0, 1], how much of it the person fills, with all that is worn.
    z: float32 [B, H, W], z-depth of the nearest that is seen there of class `ids`, generator units;
        0 on the background.
    """

    ids: Tensor
    cover: Tensor
    alpha: Tensor
    z: Tensor

    def __getitem__(self, index: slice | Tensor) -> Layers:
        return Layers(self.ids[index], self.cover[index], self.alpha[index], self.z[index])

    def to(self, device: torch.device) -> Layers:
        return Layers(
            **{entry.name: getattr(self, entry.name).to(device) for entry in fields(self)}
        )

    @classmethod
    def cat(cls, batches: Sequence[Layers]) -> Layers:
        """One batch of several."""
        return cls(*(torch.cat([getattr(b, f.name) for b in batches]) for f in fields(cls)))


@dataclass(frozen=True)
class GeneratorOutput:
    """One batch of generated faces. Lengths are generator units; rays start at the camera centre.

    image: float32 [B, 3, 512, 512], RGB in [-1, 1] (not clamped).
    ray_distance: float32 [B, 1, h, h], distance along each pixel's ray to the generator's surface.
        Meaningful only where `opacity` is not nearly 0.
    opacity: float32 [B, 1, h, h] in [0, 1].
    points_gen, density: float32 [B, M, 3] and [B, M], samples of the generated volume in the
        generator's world, for aligning a mesh to it, density on any scale; or both None.
    layers: what the pixels of `image` show; None where the generator does not know.
    """

    image: Tensor
    ray_distance: Tensor
    opacity: Tensor
    points_gen: Tensor | None = None
    density: Tensor | None = None
    layers: Layers | None = None

    def to_uint8(self) -> Tensor:
        """uint8 RGB [B, 512, 512, 3], converted as the public Next3D scripts convert."""
        planes = (self.image * 127.5).add_(128).clamp_(0, 255).to(torch.uint8)
        return torch.stack(planes.unbind(1), -1)

    def __getitem__(self, index: slice | Tensor) -> GeneratorOutput:
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return replace(self, **{k: value[index] for k, value in given.items() if value is not None})


class Generator(Protocol):
    """Draws a head as a person.

    name: short identifier, as `--generator` takes it.
    latent_size: entries of z.
    is_aligned: True if the head is drawn exactly where the mesh is placed, so that its labels need
        neither a learned alignment nor a detector's check.
    fingerprint: a string that changes with the weights, the settings and the code that draws; the
        device does not matter.
    """

    @property
    def name(self) -> str: ...

    @property
    def latent_size(self) -> int: ...

    @property
    def is_aligned(self) -> bool: ...

    @property
    def fingerprint(self) -> str: ...

    def draw(self, ids: Sequence[SampleId], config: SamplingConfig) -> Parameters:
        """The samples' parameters, on the CPU: each a function of its id and of `config`."""
        ...

    def generate(self, z: Tensor, mesh_flame: Mesh, camera: Camera) -> GeneratorOutput:
        """z: float32 [B, latent_size]. mesh_flame: [B] heads in metres. camera: [B] cameras."""
        ...
