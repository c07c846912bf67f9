"""Whole images: what a dataset relies on."""

from dataclasses import replace

import pytest
import support_mannequin
import torch
import torch.nn.functional as F

from synthforge.camera import Camera
from synthforge.frames import place_in_generator
from synthforge.mannequin import generator as generator_module
from synthforge.mannequin.generator import Mannequin
from synthforge.mesh import Mesh
from synthforge.rasterizer import rasterize


@pytest.fixture(scope="module")
def drawn():
    """Two samples and their output."""
    z, mesh, camera = support_mannequin.samples(2)
    return z, mesh, camera, Mannequin().generate(z, mesh, camera)


def test_shapes_and_ranges(drawn):
    *_, output = drawn
    assert output.image.shape == (2, 3, 512, 512)
    assert output.image.dtype == torch.float32
    assert output.image.min() >= -1 and output.image.max() <= 1
    assert output.image.std() > 0.1
    assert output.ray_distance.shape == output.opacity.shape == (2, 1, 128, 128)
    assert output.points_gen.shape == (2, 128 * 128, 3)
    assert output.density.shape == (2, 128 * 128)
    assert set(output.density.unique().tolist()) <= {0.0, 1.0}


def test_a_sample_is_the_same_bit_for_bit_in_any_batch(drawn):
    z, mesh, camera, output = drawn
    alone = Mannequin().generate(z[1:], mesh[1:], camera[1:])
    for name in ("image", "ray_distance", "opacity", "points_gen", "density"):
        assert torch.equal(getattr(alone, name), getattr(output, name)[1:]), name


def test_samples_differ(drawn):
    image = drawn[-1].image
    assert (image[0] - image[1]).abs().mean() > 0.1


def test_depth_is_that_of_the_mesh(drawn):
    _, mesh, camera, output = drawn
    vertices = place_in_generator(mesh.vertices)
    fragments = rasterize(
        camera.to_ndc(vertices), mesh.topology.faces, 128, 128, perspective_correct=True
    )
    covered = fragments.covered[:, None]
    assert torch.equal(output.opacity > 0.5, covered)
    z_depth = camera.z_depth(output.ray_distance)
    assert torch.allclose(z_depth[covered], fragments.z[:, None][covered], atol=1e-5)
    assert 0.2 < covered.float().mean() < 0.9


def test_density_points_lie_on_the_mesh(drawn):
    _, _, camera, output = drawn
    pixels, z_depth = camera.project(output.points_gen, 128)
    dense = output.density > 0.5
    centers = torch.arange(128) + 0.5
    rows, columns = torch.meshgrid(centers, centers, indexing="ij")
    expected = torch.stack([columns, rows], -1).view(1, -1, 2).expand(2, -1, -1)
    assert torch.allclose(pixels[dense], expected[dense], atol=1e-3)
    depth = camera.z_depth(output.ray_distance).flatten(1)
    assert torch.allclose(z_depth[dense], depth[dense], atol=1e-5)


def test_the_backdrop_shows_only_beside_the_head(drawn, monkeypatch):
    """The silhouette of the image is the rasterizer's: no backdrop shines through the face."""
    z, mesh, camera, _ = drawn
    # Compression spreads over whole blocks.
    scene_from = generator_module.scene_from
    monkeypatch.setattr(
        generator_module, "scene_from", lambda z: replace(scene_from(z), small=False)
    )
    image = Mannequin().generate(z[:1], mesh[:1], camera[:1]).image[0]
    monkeypatch.setattr(
        generator_module, "background", lambda scene, size: torch.ones(3, size, size)
    )
    other = Mannequin().generate(z[:1], mesh[:1], camera[:1]).image[0]
    changed = (other - image).abs().amax(0) > 0
    vertices = place_in_generator(mesh.vertices[:1])
    fragments = rasterize(
        camera[:1].to_ndc(vertices), mesh.topology.faces, 512, 512, perspective_correct=True
    )
    reach = 7  # of blur, softer chroma, sharpening and supersampling, pixels
    near_outside = F.max_pool2d((~fragments.covered).float(), 2 * reach + 1, 1, reach)[0] > 0
    assert not (changed & ~near_outside).any()
    assert changed.float().mean() > 0.1


def test_displacement_moves_what_is_drawn(drawn):
    z, mesh, camera, output = drawn
    moved = Mannequin(displacement=(torch.eye(3), torch.tensor([0.0, 0.0, 0.05])))
    nearer = moved.generate(z[:1], mesh[:1], camera[:1])
    both = (nearer.opacity > 0.5) & (output.opacity[:1] > 0.5)
    change = (output.ray_distance[:1] - nearer.ray_distance)[both].median()
    assert 0.03 < change < 0.06
    assert not torch.equal(nearer.image, output.image[:1])


def test_identity_displacement_changes_nothing(drawn):
    z, mesh, camera, output = drawn
    same = Mannequin(displacement=(torch.eye(3), torch.zeros(3)))
    assert torch.equal(same.generate(z[:1], mesh[:1], camera[:1]).image, output.image[:1])


def test_a_foreign_mesh_is_refused(drawn):
    z, mesh, camera, _ = drawn
    foreign = Mesh(mesh.vertices[:, :-1], mesh.landmarks, mesh.topology)
    with pytest.raises(ValueError, match="baked_head"):
        Mannequin().generate(z, foreign, camera)


def test_fingerprint_is_a_short_string():
    first, second = Mannequin().fingerprint, Mannequin().fingerprint
    assert first == second and len(first) == 16


def test_random_numbers_elsewhere_stay_as_they_were(drawn):
    z, mesh, camera, output = drawn
    state = torch.random.get_rng_state()
    again = Mannequin().generate(z[:1], mesh[:1], camera[:1])
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(again.image, output.image[:1])


@pytest.mark.gpu
def test_cuda_draws_the_same_image(drawn):
    z, mesh, camera, output = drawn
    device = "cuda"
    image = Mannequin(device).generate(z.to(device), mesh, camera.to(device)).image.cpu()
    assert (image - output.image).abs().mean() < 0.02


def test_the_camera_turns_the_image(drawn):
    z, mesh, *_ = drawn
    views = [
        Camera.look_at(torch.tensor([yaw]), torch.zeros(1), torch.tensor([20.0]))
        for yaw in (-0.3, 0.3)
    ]
    left, right = (Mannequin().generate(z[:1], mesh[:1], view) for view in views)
    assert not torch.equal(left.opacity, right.opacity)
