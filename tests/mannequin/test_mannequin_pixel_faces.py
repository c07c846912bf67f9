"""Which faces a pixel is shaded for."""

import pytest
import torch

from synthforge.mannequin.render.pixel_faces import pixel_faces
from synthforge.rasterizer import rasterize

SIZE = 12


@pytest.fixture(scope="module")
def scene():
    """A fan of small triangles that leaves part of the image empty."""
    generator = torch.Generator().manual_seed(1)
    ndc = torch.cat([1.4 * torch.rand(40, 2, generator=generator) - 0.9, 2 + torch.rand(40, 1)], 1)
    faces = torch.randint(40, (60, 3), generator=generator)
    return ndc, faces, rasterize(ndc[None], faces, 2 * SIZE, 2 * SIZE, perspective_correct=True)


def test_every_sample_belongs_to_its_pixel_s_face(scene):
    ndc, faces, fragments = scene
    seen = pixel_faces(ndc, faces, fragments.face_ids[0])
    of_sample = seen.of_sample.view(2 * SIZE, 2 * SIZE)
    assert torch.equal(of_sample == len(seen), ~fragments.covered[0])
    groups = {}
    for row in range(2 * SIZE):
        for column in range(2 * SIZE):
            face = int(fragments.face_ids[0, row, column])
            if face >= 0:
                pair = int(of_sample[row, column])
                assert seen.face[pair] == face
                groups.setdefault((row // 2, column // 2, face), set()).add(pair)
    # One pair for each face of a pixel, and no other.
    assert all(len(pairs) == 1 for pairs in groups.values())
    assert len(groups) == len(seen) < int(fragments.covered.sum())


def test_a_pair_stands_in_the_middle_of_its_samples(scene):
    ndc, faces, fragments = scene
    seen = pixel_faces(ndc, faces, fragments.face_ids[0])
    corners = ndc[faces[seen.face]]
    screen = (seen.weights.T * corners[..., 2] * corners[..., 0]).sum(1) / seen.z
    column = (1 - screen) * SIZE / 2
    covered = fragments.covered[0].flatten()
    sample = torch.arange(4 * SIZE * SIZE)[covered] % (2 * SIZE) / 2 + 0.25
    total, count = torch.zeros(2, len(seen))
    total.index_add_(0, seen.of_sample[covered], sample)
    count.index_add_(0, seen.of_sample[covered], torch.ones(len(sample)))
    assert torch.allclose(column, total / count, atol=1e-3)
    assert torch.allclose(seen.weights.sum(0), torch.ones(len(seen)), atol=1e-5)
    alone = count[seen.of_sample[covered]] == 1
    z = fragments.z[0].flatten()[covered][alone]
    assert alone.sum() > 5
    assert torch.allclose(z, seen.z[seen.of_sample[covered][alone]], atol=1e-4)
