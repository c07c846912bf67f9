"""Volume rendering against the real renderer's numbers, and plain twins of its fast parts."""

import dataclasses

import numpy as np
import pytest
import support_next3d as support
import torch
import torch.nn.functional as F

from synthforge.camera import Camera
from synthforge.next3d import Next3DConfig, volume

RAYS = 12


@pytest.fixture(scope="module")
def goldens():
    with np.load(support.GOLDEN_DIR / "units.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture(scope="module")
def decoder():
    decoder = volume.Decoder(Next3DConfig())
    support.fill(decoder, "decoder.")
    return decoder


@pytest.fixture(scope="module")
def planes():
    return torch.from_numpy(np.float32(1.5) * support.normal("unit:planes", (2, 3, 32, 16, 16)))


@pytest.fixture(scope="module")
def points():
    return torch.from_numpy(np.float32(0.3) * support.normal("unit:pts", (2, 50, 3)))


def assert_close(got, want, tolerance=1e-4):
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


def sample(planes, points, box_warp=1.0):
    image = torch.arange(len(points)).repeat_interleave(points.shape[1])
    flat = points.reshape(-1, 3).t().contiguous()
    return volume.PlaneSampler(planes, box_warp)(flat, image).view(*points.shape[:2], -1)


def grid_sampled(planes, points, box_warp=1.0):
    """The twin: torch's own grid_sample, a plane at a time."""
    scaled = points * 2 / box_warp
    looked_up = [
        F.grid_sample(planes[:, p], scaled[:, :, None, axes], align_corners=False)[..., 0]
        for p, axes in enumerate(([0, 1], [0, 2], [2, 1]))
    ]
    return torch.stack(looked_up).mean(0).transpose(1, 2)


def test_plane_lookup_matches_the_real_one(goldens, planes, points):
    assert_close(points, goldens["pts"], 0)
    assert_close(sample(planes, points), goldens["plane_samples"].mean(1))


@pytest.mark.parametrize("box_warp", [0.7, 1.0, 2.0])
def test_plane_lookup_is_grid_sample_inside_at_the_rim_and_outside(planes, box_warp):
    random = torch.Generator().manual_seed(0)
    points = (torch.rand(2, 4000, 3, generator=random) - 0.5) * 1.3 * box_warp
    corners = torch.cartesian_prod(*[torch.tensor([-0.5, 0.0, 0.5, 0.53125, 9.0])] * 3) * box_warp
    points = torch.cat([points, corners.expand(2, -1, -1)], 1)
    assert_close(sample(planes, points, box_warp), grid_sampled(planes, points, box_warp), 1e-5)


def test_density_and_color_match_the_real_decoder(goldens, decoder, planes, points):
    hidden = decoder.hidden(sample(planes, points))
    assert_close(decoder.density(hidden), goldens["pts_sigma"][..., 0])
    assert_close(decoder.color(hidden), goldens["pts_rgb"])
    assert_close(volume.density_at(planes, decoder, points, 1.0), goldens["pts_sigma"][..., 0])


@pytest.mark.parametrize(("golden", "fine"), [("vr", 48), ("vr_noimp", 0)])
@pytest.mark.parametrize("chunk", [1024, 37])
def test_render_matches_the_real_one(goldens, decoder, planes, golden, fine, chunk, monkeypatch):
    monkeypatch.setitem(volume._CHUNK, "cpu", chunk)
    config = Next3DConfig(depth_resolution_importance=fine)
    rays = Camera.from_vector(support.cameras()[:2]).rays(RAYS)
    got = volume.render(planes, decoder, *rays, config)
    assert_close(got.features, goldens[f"{golden}.feature"])
    assert_close(got.distance, goldens[f"{golden}.depth"][..., 0])
    assert_close(got.weights, goldens[f"{golden}.weights_sum"][..., 0])
    if fine:
        assert_close(got.coarse_depths, goldens["vr.depths_coarse_row"], 1e-6)
        assert_close(got.coarse_density[:, ::9], goldens["vr.sigma_coarse"], 5e-4)


def test_importance_sampling_matches_the_real_one(goldens):
    density = goldens["vr.sigma_coarse"].flatten(0, 1)
    depths = goldens["vr.depths_coarse_row"].expand(len(density), -1)
    weights = volume.march_weights(depths, density)
    assert_close(weights, goldens["vr.weights_coarse"].flatten(0, 1))
    fine = volume.importance_depths(depths, weights, 48)
    assert_close(fine, goldens["vr.depths_fine"].flatten(0, 1))
    both = torch.cat([depths, fine], 1).sort(1).values
    assert_close(both, goldens["vr.depths_all"].flatten(0, 1))


def test_marching_matches_the_real_one(goldens):
    density = np.float32(5) * support.normal("unit:md", (1, 6, 9, 1))
    density[:, 2], density[:, 3] = -200, 500
    density = torch.from_numpy(density[0, ..., 0])
    depths = goldens["march.depths_in"][0, ..., 0]
    weights = volume.march_weights(depths, density)
    assert_close(weights, goldens["march.weights"][0, ..., 0], 1e-5)
    distance = volume.mean_depth(depths, weights)
    assert torch.isinf(distance[2])
    assert_close(distance.clamp(depths.min(), depths.max()), goldens["march.depth"][0, :, 0], 1e-5)


def test_marching_weights_are_an_opacity():
    random = torch.Generator().manual_seed(0)
    depths = (torch.rand(500, 30, generator=random) + 2).sort(1).values
    weights = volume.march_weights(depths, torch.randn(500, 30, generator=random) * 20)
    assert (weights >= 0).all()
    assert (weights.sum(1) <= 1 + 1e-5).all()


def test_importance_samples_crowd_where_the_weight_is():
    depths = torch.linspace(2.25, 3.3, 48)[None]
    weights = torch.zeros(1, 47)
    weights[0, 20] = 1
    fine = volume.importance_depths(depths, weights, 48)
    near = (fine - (depths[0, 20] + depths[0, 21]) / 2).abs() < 0.05
    assert near.float().mean() > 0.6
    assert (fine.diff() >= 0).all()


def test_empty_rays_end_at_the_far_side(decoder):
    planes = torch.zeros(1, 3, 32, 8, 8)
    config = Next3DConfig()
    empty = volume.Decoder(config)
    support.fill(empty, "decoder.")
    empty.net[2].bias[0] = -1000
    rays = Camera.from_vector(support.cameras()[:1]).rays(4)
    got = volume.render(planes, empty, *rays, config)
    assert_close(got.weights, torch.zeros(1, 16), 1e-6)
    assert_close(got.distance, got.coarse_depths[-1].expand(1, 16), 1e-6)
    assert_close(got.features, torch.full((1, 16, 32), -1.0), 1e-5)


def test_samples_of_a_batch_do_not_touch(decoder, planes):
    config = dataclasses.replace(Next3DConfig(), depth_resolution_importance=8)
    rays = Camera.from_vector(support.cameras()[:2]).rays(RAYS)
    together = volume.render(planes, decoder, *rays, config)
    for i in range(2):
        alone = volume.render(planes[i : i + 1], decoder, *(x[i : i + 1] for x in rays), config)
        assert_close(together.features[i], alone.features[0], 1e-5)
        assert_close(together.distance[i], alone.distance[0], 1e-5)
