"""Samples of the built-in head for the renderer's tests."""

import functools

import torch

from synthforge import sampling
from synthforge.assembly import mannequin_parts
from synthforge.config import MANNEQUIN_SAMPLING
from synthforge.sampling import SampleId


@functools.cache
def built_head():
    return mannequin_parts(torch.device("cpu"))[0]


@functools.cache
def samples(count, seed=3):
    """z [count, 512], meshes and cameras at the default ranges."""
    ids = [SampleId(seed, i) for i in range(count)]
    parameters = sampling.draw(ids, MANNEQUIN_SAMPLING, 512, 5)
    camera = parameters.camera
    return parameters.z, built_head().mesh(parameters, camera), camera


def latent(seed, **shape):
    """z[:256] with named shape entries."""
    z = torch.randn(256, generator=torch.Generator().manual_seed(seed))
    names = ("masculinity", "age", "weight", "african", "east_asian")
    for k, name in enumerate(names):
        z[k] = shape.get(name, 0.0)
    return z


def rotation(seed):
    """A random rotation [3, 3]."""
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)))
    return q * torch.sign(torch.linalg.det(q))
