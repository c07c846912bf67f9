"""The compiled loops give the bits of the torch code, and compile wherever they are installed."""

import errno
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synthforge import raster_kernel, raster_torch
from synthforge.mannequin.kernels.strands import draw_strands
from synthforge.rasterizer import Fragments, pixel_centers, rasterize, resolve, visible

CPU = torch.device("cpu")


def soup(seed, batch=2, faces=40, vertices=60):
    """Triangles of any size with shared vertices, ties in depth, slivers, vertices on pixel
    centres, right before and behind the camera, huge and not finite."""
    draws = np.random.default_rng(seed)
    corners = draws.uniform(-1.5, 1.5, (batch, vertices, 3))
    corners[..., 2] = draws.choice([0.5, 1, 2], (batch, vertices))
    corners[:, ::3, 2] = draws.uniform(0.1, 3, (batch, len(range(0, vertices, 3))))
    corners[..., 2] *= draws.choice([1, 1, 1e-5])
    corners[:, 1::4, :2] = draws.integers(-8, 8, (batch, len(range(1, vertices, 4)), 2)) / 8
    odd = draws.random((batch, vertices, 3)) < draws.choice([0, 0.05])
    values = [np.nan, np.inf, -np.inf, 1e-9, -1, 1e20, 3e38, -3e38, 1e-30]
    corners[odd] = draws.choice(values, odd.sum())
    ids = draws.integers(0, vertices, (faces, 3))
    ids[1] = ids[0]  # the same face twice
    near = draws.integers(0, vertices - 1, 2)
    corners[:, near + 1, :2] = corners[:, near, :2] * (1 + 1e-7)
    return torch.tensor(corners, dtype=torch.float32), torch.tensor(ids)


def in_torch(vertices, faces, height, width, perspective_correct, cull_backfaces):
    columns, rows = pixel_centers(width, height, CPU), pixel_centers(height, width, CPU)
    face_ids = raster_torch.visible(
        vertices,
        faces,
        columns,
        rows,
        perspective_correct=perspective_correct,
        cull_backfaces=cull_backfaces,
    )
    seen = raster_torch.resolve(
        vertices, faces, face_ids, columns, rows, perspective_correct=perspective_correct
    )
    return Fragments(face_ids, *seen)


def same_bits(a, b):
    return torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    perspective=st.booleans(),
    cull=st.booleans(),
)
@example(seed=0, height=16, width=16, perspective=True, cull=False)
def test_the_same_bits_as_torch(seed, height, width, perspective, cull):
    vertices, faces = soup(seed)
    expected = in_torch(vertices, faces, height, width, perspective, cull)
    flags = {"perspective_correct": perspective, "cull_backfaces": cull}
    seen = rasterize(vertices, faces, height, width, **flags)
    assert torch.equal(seen.face_ids, expected.face_ids)
    assert same_bits(seen.z, expected.z)
    assert same_bits(seen.barycentrics, expected.barycentrics)


@pytest.mark.parametrize("perspective", [False, True])
def test_a_fine_mesh_has_the_same_bits(perspective):
    """Faces of about a pixel, front and back, on a wavy sheet rolled up."""
    u, v = torch.meshgrid(torch.linspace(0, 6.3, 150), torch.linspace(-1, 1, 90), indexing="ij")
    radius = 0.7 + 0.1 * torch.sin(9 * v + 5 * u)
    sheet = torch.stack([radius * torch.sin(u), v, 3 + radius * torch.cos(u)], -1).view(1, -1, 3)
    index = torch.arange(150 * 90).view(150, 90)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = torch.cat([torch.stack(t, -1).view(-1, 3) for t in ((a, b, c), (a, c, d))])
    expected = in_torch(sheet, faces, 128, 128, perspective, False)
    seen = rasterize(sheet, faces, 128, 128, perspective_correct=perspective)
    assert expected.covered.float().mean() > 0.5
    assert torch.equal(seen.face_ids, expected.face_ids)
    assert same_bits(seen.z, expected.z)
    assert same_bits(seen.barycentrics, expected.barycentrics)


def test_an_image_given_up_is_nan_and_an_empty_pixel_minus_one():
    vertices, faces = soup(seed=3)
    face_ids = torch.stack([torch.full((4, 5), -2), torch.full((4, 5), -1)])
    seen = resolve(vertices, faces, face_ids, perspective_correct=True)
    assert seen.z[0].isnan().all() and seen.barycentrics[0].isnan().all()
    assert (seen.z[1] == -1).all() and (seen.barycentrics[1] == -1).all()


@pytest.mark.parametrize("batched", [False, True])
def test_interpolated_attributes_have_the_same_bits(batched):
    vertices, faces = soup(seed=5, batch=3)
    seen = rasterize(vertices, faces, 24, 20, perspective_correct=True)
    draws = torch.Generator().manual_seed(0)
    corners = torch.randn((3,) * batched + (len(faces), 3, 5), generator=draws)
    with_gradient = seen.interpolate(corners.clone().requires_grad_())
    assert with_gradient.requires_grad
    assert same_bits(seen.interpolate(corners), with_gradient.detach())


def test_what_wants_a_gradient_gets_it_and_memory_of_any_layout_is_read():
    vertices, faces = soup(seed=7)
    face_ids = visible(vertices, faces, 24, 20, perspective_correct=True)
    wanted = vertices.clone().requires_grad_()
    assert resolve(wanted, faces, face_ids, perspective_correct=True).z.requires_grad
    with torch.no_grad():
        assert not resolve(wanted, faces, face_ids, perspective_correct=True).z.requires_grad
    turned = vertices.transpose(1, 2).contiguous().transpose(1, 2)
    again = visible(turned, faces.t().contiguous().t(), 24, 20, perspective_correct=True)
    assert torch.equal(again, face_ids)


@pytest.mark.parametrize("index", [-1, 120])
def test_indices_of_no_vertex_or_face_are_errors(index):
    vertices, faces = soup(0, vertices=120)
    ids = visible(vertices, faces, 8, 8, perspective_correct=True)
    faces[3, 1] = index
    with pytest.raises(IndexError, match="120 vertices"):
        visible(vertices, faces, 8, 8, perspective_correct=True)
    with pytest.raises(IndexError, match="120 vertices"):
        resolve(vertices, faces, ids, perspective_correct=True)
    faces[3, 1] = 0
    with pytest.raises(IndexError, match="40 faces"):
        resolve(vertices, faces, torch.full_like(ids, 40), perspective_correct=True)


def test_no_operation_is_fused():
    """What LLVM makes of the loops holds no fused multiply-add; it would differ from torch's."""
    rasterizer = raster_kernel.find_visible, raster_kernel.find_fragments, raster_kernel.interpolate
    loops = (*rasterizer, draw_strands)
    for loop in loops:
        code = raster_kernel.numba.njit(loop.signatures[0], **raster_kernel._OPTIONS)(loop.py_func)
        (assembly,) = code.inspect_asm().values()
        assert "div" in assembly or loop is raster_kernel.interpolate
        assert not [line for line in assembly.splitlines() if "fmadd" in line or "fmla" in line]


ADD_ONE = """
from synthforge.raster_kernel import compiled

@compiled("int64[::1]")
def add_one(numbers):
    for i in range(len(numbers)):
        numbers[i] += 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Of a module with one small loop; and the user's cache folder is below."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "small.py").write_text(ADD_ONE)
    return tmp_path


def adds_one(folder):
    spec = importlib.util.spec_from_file_location("small", folder / "small.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    numbers = np.array([1, 2])
    module.add_one(numbers)
    return numbers.tolist() == [2, 3]


def cached(folder):
    return sorted(folder.rglob("*.nb?"))


def test_loops_are_cached_beside_their_file(folder):
    assert adds_one(folder)
    assert {path.parent for path in cached(folder)} == {folder / "__pycache__"}


def test_a_read_only_installation_caches_in_the_user_s_folder(folder):
    (folder / "__pycache__").touch()  # no folder can be made, even by root
    assert adds_one(folder)
    assert {path.parent.parent for path in cached(folder)} == {folder / "cache" / "numba"}


def test_where_nothing_can_be_written_loops_compile_without_a_cache(folder):
    (folder / "__pycache__").touch()
    (folder / "cache").touch()
    assert adds_one(folder)
    assert not cached(folder)


def test_a_full_disk_is_no_error(folder, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    assert adds_one(folder)
    assert not cached(folder)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("part", [0, 0.5])
def test_a_cache_that_was_cut_short_is_no_error(folder, suffix, part):
    assert adds_one(folder)
    (path,) = folder.rglob(f"*{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert adds_one(folder)


@pytest.mark.slow
def test_many_processes_may_start_at_once(folder):
    code = "import small, numpy; a = numpy.array([1]); small.add_one(a); print(a[0])"
    path = os.pathsep.join([str(folder), *sys.path])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    assert [child.communicate()[0] for child in children] == [b"2\n"] * 4
    assert [path.suffix for path in cached(folder)] == [".nbc", ".nbi"]
