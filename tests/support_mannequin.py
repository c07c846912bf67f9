"""Samples of the built-in head for the renderer's tests."""

import functools
from dataclasses import dataclass

import torch

from synthforge.generators.mannequin import mannequin_parts
from synthforge.mannequin.kernels.shading import _POISSON, SHADOW_EXTENT
from synthforge.mannequin.people import draw_people
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING


@dataclass(frozen=True)
class Dome:
    """Surroundings of one radiance, linear RGB."""

    facing: tuple[float, float, float]

    def radiance(self, directions):
        return directions.new_tensor(self.facing).repeat(len(directions), 1)

    reflected = radiance


@functools.cache
def built_head():
    return mannequin_parts(torch.device("cpu"))[0]


@functools.cache
def samples(count, seed=3):
    """z [count, 512], meshes and cameras at the default ranges."""
    ids = [SampleId(seed, i) for i in range(count)]
    parameters = draw_people(ids, MANNEQUIN_SAMPLING)
    camera = parameters.camera
    return parameters.z, built_head().mesh(parameters, camera), camera


def latent(seed, **attributes):
    """z[:256] of an adult of all ancestries, or with other attributes."""
    z = torch.randn(256, generator=torch.Generator().manual_seed(seed))
    adult = {"years": 35, "sex": 0.5, "weight": 0.5}
    ancestry = {"african": 1 / 3, "asian": 1 / 3, "caucasian": 1 / 3}
    z[:6] = torch.tensor(list((adult | ancestry | attributes).values()))
    return z


def rotation(seed):
    """A random rotation [3, 3]."""
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)))
    return (q * torch.sign(torch.linalg.det(q))).contiguous()


def depths_round(map_, x, y, radius, count):
    """What a shadow map holds at the first `count` of the kernels' places round x, y."""
    size = len(map_)
    for dx, dy in torch.from_numpy(_POISSON[:count]):
        column, row = (
            ((1 - axis + way * radius / SHADOW_EXTENT) * (size / 2)).clamp(0, size - 1).long()
            for axis, way in ((x, dx), (y, dy))
        )
        yield map_[row, column]


def transmitted(shadow, points):
    """Share of the key light that gets through hair to points [3, N] of Shadow.to_light: [N]."""
    x, y, z = points
    near = depths_round(shadow.depth, x, y, max(shadow.radius, 0.01), 5)
    behind = (((z - depth) * SHADOW_EXTENT - 0.004).clamp(min=0) for depth in near)
    return sum(torch.exp(-distance / 0.022) for distance in behind) / 5
