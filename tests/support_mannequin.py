"""Samples of the built-in head for the renderer's tests."""

import functools
from dataclasses import dataclass

import torch

from synthforge.generators.mannequin import mannequin_parts
from synthforge.mannequin.people import draw_people
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING


@dataclass(frozen=True)
class Dome:
    """Surroundings of one radiance, linear RGB."""

    facing: tuple[float, float, float]

    def radiance(self, directions):
        return directions.new_tensor(self.facing).expand(len(directions), 3)

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
    return q * torch.sign(torch.linalg.det(q))
