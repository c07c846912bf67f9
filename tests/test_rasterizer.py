"""Our z-buffer against PyTorch3D's recorded output, a slow plain twin, and itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthforge import raster_torch, rasterizer
from synthforge.rasterizer import pixel_centers, pytorch3d_installed, rasterize

SOUPS = np.load(Path(__file__).parent / "data" / "pytorch3d_soups.npz")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def soup(seed, faces=30, batch=1):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-1.2, 1.2, (batch, faces * 3, 3))
    corners[..., 2] = rng.uniform(0.5, 3, corners.shape[:2])
    return (
        torch.tensor(corners, dtype=torch.float32),
        torch.arange(faces * 3).reshape(faces, 3),
    )


def plain_visible(vertices, faces, size):
    """One pixel, one face at a time, in float64."""
    centers = pixel_centers(size, size, torch.device("cpu")).double().numpy()
    ids = np.full((size, size), -1)
    for row, y in enumerate(centers):
        for column, x in enumerate(centers):
            best = np.inf
            for i, (a, b, c) in enumerate(vertices.double().numpy()[faces.numpy()]):
                M = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
                w = np.linalg.solve(M, [x, y, 1])
                z = 1 / (w @ (1 / np.array([a[2], b[2], c[2]])))
                if (w > 0).all() and z < best:
                    best, ids[row, column] = z, i
    return ids


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("index", range(len(SOUPS["meta"])))
def test_equals_pytorch3d_recordings(index, device):
    height, width, cull, perspective, _, _ = map(int, SOUPS["meta"][index])
    name = f"{index:02d}"
    expected = SOUPS[f"{name}.pix_to_face"]
    fragments = rasterize(
        torch.tensor(SOUPS[f"{name}.verts"], device=device)[None],
        torch.tensor(SOUPS[f"{name}.faces"], device=device).long(),
        height,
        width,
        perspective_correct=bool(perspective),
        cull_backfaces=bool(cull),
    )
    covered = expected >= 0
    if device == "cpu":
        np.testing.assert_array_equal(fragments.face_ids[0], expected)
        np.testing.assert_array_equal(fragments.z[0][covered], SOUPS[f"{name}.zbuf"])
        np.testing.assert_array_equal(fragments.barycentrics[0][covered], SOUPS[f"{name}.bary"])
    else:
        wrong = (fragments.face_ids[0].cpu().numpy() != expected).sum()
        assert wrong <= 1e-3 * covered.sum()
    assert (fragments.z[0].cpu().numpy()[~covered] == -1).all()


def test_equals_a_plain_twin():
    vertices, faces = soup(seed=1, faces=8)
    ours = rasterize(vertices, faces, 24, 24, perspective_correct=True).face_ids[0].numpy()
    np.testing.assert_array_equal(ours, plain_visible(vertices[0], faces, 24))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(2, 4))
def test_a_batch_is_its_samples(seed, batch):
    vertices, faces = soup(seed, batch=batch)
    together = rasterize(vertices, faces, 33, 47, perspective_correct=True)
    for i in range(batch):
        alone = rasterize(vertices[i : i + 1], faces, 33, 47, perspective_correct=True)
        assert torch.equal(together.face_ids[i], alone.face_ids[0])
        assert torch.equal(together.z[i], alone.z[0])


def test_adjacent_triangles_leave_no_seam_and_no_overlap():
    """A fan round an off-grid centre covers each pixel of its hull exactly once."""
    angles = torch.linspace(0, 2 * torch.pi, 18)[:-1]
    ring = torch.stack([0.9 * angles.cos(), 0.9 * angles.sin(), torch.ones(17)], -1)
    vertices = torch.cat([torch.tensor([[0.0123, 0.0456, 1.0]]), ring])[None]
    faces = torch.stack(
        [torch.zeros(17).long(), 1 + torch.arange(17), 1 + (torch.arange(17) + 1) % 17], -1
    )
    fan = rasterize(vertices, faces, 64, 64, perspective_correct=False)
    hits = sum(
        rasterize(vertices, face[None], 64, 64, perspective_correct=False).covered.long()
        for face in faces
    )
    inside = (
        pixel_centers(64, 64, torch.device("cpu"))[:, None] ** 2
        + pixel_centers(64, 64, torch.device("cpu")) ** 2
    ).sqrt() < 0.85
    assert (hits[0][inside] == 1).all()
    assert fan.covered[0][inside].all()


def test_depth_and_barycentrics_have_the_right_gradient():
    vertices, faces = soup(seed=3, faces=3)
    weight = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0))

    def loss(v):
        fragments = rasterize(v, faces, 16, 16, perspective_correct=True)
        depth = (fragments.z * weight)[fragments.covered].sum()
        return depth + (fragments.barycentrics[..., 1] * weight)[fragments.covered].sum()

    vertices.requires_grad_()
    loss(vertices).backward()
    step = 1e-3
    for index in [(0, 0, 2), (0, 4, 2), (0, 8, 2)]:  # moving z leaves the coverage alone
        nudge = torch.zeros_like(vertices)
        nudge[index] = step
        with torch.no_grad():
            numeric = (loss(vertices + nudge) - loss(vertices - nudge)) / (2 * step)
        assert vertices.grad[index] == pytest.approx(float(numeric), rel=0.03, abs=0.02)


def test_an_empty_view_is_empty():
    vertices, faces = soup(seed=0)
    fragments = rasterize(vertices + 10, faces, 8, 8, perspective_correct=True)
    assert not fragments.covered.any()
    assert (fragments.interpolate(torch.ones(30, 3, 2)) == 0).all()


def test_interpolating_a_linear_attribute_is_exact():
    vertices, faces = soup(seed=5)
    fragments = rasterize(vertices, faces, 40, 40, perspective_correct=True)
    z = fragments.interpolate(vertices[:, faces][..., 2:])
    assert torch.allclose(z[..., 0][fragments.covered], fragments.z[fragments.covered], rtol=1e-6)


@pytest.mark.parametrize("index", range(len(SOUPS["meta"])))
def test_work_of_fixed_size_sees_the_same(index):
    height, width, cull, perspective, _, _ = map(int, SOUPS["meta"][index])
    vertices = torch.tensor(SOUPS[f"{index:02d}.verts"])
    faces = torch.tensor(SOUPS[f"{index:02d}.faces"]).long()
    flags = {"perspective_correct": bool(perspective), "cull_backfaces": bool(cull)}
    two = torch.stack([vertices, vertices.flip(0)])
    exact = rasterize(two, faces, height, width, **flags)
    fixed = rasterize(two, faces, height, width, **flags, max_layers=len(faces))
    assert fixed.complete.all()
    assert torch.equal(fixed.face_ids, exact.face_ids)
    assert torch.equal(fixed.z, exact.z)
    assert torch.equal(fixed.barycentrics, exact.barycentrics)


def all_pixels(ids, *, differentiable):
    """As on a GPU."""
    return torch.arange(len(ids))


def test_resolving_every_pixel_gives_the_same(monkeypatch):
    monkeypatch.setattr(rasterizer, "_in_compiled_loops", lambda *tensors: False)
    vertices, faces = soup(seed=21, batch=2)
    sparse = rasterize(vertices, faces, 40, 24, perspective_correct=True)
    monkeypatch.setattr(raster_torch, "_pixels_to_resolve", all_pixels)
    dense = rasterize(vertices, faces, 40, 24, perspective_correct=True)
    assert not sparse.covered.all()
    assert torch.equal(dense.z, sparse.z)
    assert torch.equal(dense.barycentrics, sparse.barycentrics)


@pytest.mark.parametrize("as_on_a_gpu", [False, True])
def test_an_image_of_too_many_layers_is_given_up_alone(as_on_a_gpu, monkeypatch):
    """Ten sheets over the whole image, and one image of which they cover a tenth."""
    if as_on_a_gpu:
        monkeypatch.setattr(rasterizer, "_in_compiled_loops", lambda *tensors: False)
        monkeypatch.setattr(raster_torch, "_pixels_to_resolve", all_pixels)
    sheet = torch.tensor([[-3.0, -3, 1], [3, -3, 1], [0, 6, 1]])
    sheets = torch.cat([sheet + torch.tensor([0, 0, float(k)]) for k in range(10)])
    narrow = sheets * torch.tensor([0.1, 0.1, 1])
    faces = torch.arange(30).view(10, 3)
    fragments = rasterize(
        torch.stack([sheets, narrow]), faces, 32, 32, perspective_correct=True, max_layers=8
    )
    assert fragments.complete.tolist() == [False, True]
    assert fragments.z[0].isnan().all() and fragments.barycentrics[0].isnan().all()
    assert not fragments.covered[0].any()
    assert (fragments.face_ids[1][fragments.covered[1]] == 0).all()
    enough = rasterize(sheets[None], faces, 32, 32, perspective_correct=True, max_layers=10)
    assert enough.complete.all() and enough.covered.all()


@pytest.mark.skipif(not pytorch3d_installed(), reason="PyTorch3D is not installed")
@pytest.mark.parametrize("perspective", [False, True])
def test_parity_with_installed_pytorch3d(perspective):
    vertices, faces = soup(seed=11, faces=300, batch=2)
    ours, theirs = (
        rasterize(vertices, faces, 64, 64, perspective_correct=perspective, backend=backend)
        for backend in ("torch", "pytorch3d")
    )
    assert torch.equal(ours.face_ids, theirs.face_ids)
    assert torch.allclose(ours.z, theirs.z, atol=1e-5)


@pytest.mark.skipif(pytorch3d_installed(), reason="PyTorch3D is installed")
def test_a_missing_backend_names_the_way_out():
    vertices, faces = soup(seed=0)
    with pytest.raises(ImportError, match="--rasterizer torch"):
        rasterize(vertices, faces, 8, 8, perspective_correct=True, backend="pytorch3d")


BROKEN = [(0, torch.nan), (1, torch.nan), (2, torch.nan), (0, torch.inf), (1, -torch.inf)]
BROKEN += [(2, torch.inf)]


@pytest.mark.parametrize("max_layers", [None, 12])
@pytest.mark.parametrize("at", [0, 6, 11])
@pytest.mark.parametrize(("axis", "value"), BROKEN)
def test_faces_with_a_coordinate_that_is_not_finite_are_skipped(axis, value, at, max_layers):
    """And leave the others alone, the last face of each image included."""
    vertices, faces = soup(seed=4, faces=12, batch=2)
    broken = vertices.clone()
    broken[:, 3 * at + 1, axis] = value
    seen = rasterize(broken, faces, 40, 40, perspective_correct=True, max_layers=max_layers)
    assert seen.complete.all()
    others = torch.tensor([i for i in range(12) if i != at])
    expected = rasterize(vertices, faces[others], 40, 40, perspective_correct=True)
    assert torch.equal(seen.face_ids, torch.where(expected.covered, others[expected.face_ids], -1))
    assert torch.equal(seen.z, expected.z)
    assert (rasterize(vertices, faces, 40, 40, perspective_correct=True).face_ids == at).any()


@pytest.mark.parametrize("max_layers", [None, 12])
def test_a_mesh_of_nan_alone_is_an_empty_view(max_layers):
    vertices, faces = soup(seed=4, faces=12)
    nothing = torch.full_like(vertices, torch.nan)
    seen = rasterize(nothing, faces, 16, 16, perspective_correct=True, max_layers=max_layers)
    assert seen.complete.all() and not seen.covered.any()
