"""Every stage of the generator against numbers of the real network.

The goldens were taken from the released code, run in float32 on CPU with the weights and inputs of
`support_next3d`. Tolerances are absolute. TINY has the real structure with fewer channels.
"""

import math

import numpy as np
import pytest
import support_next3d as support
import torch
from support_next3d import Goldens

from synthforge.camera import Camera
from synthforge.next3d import mouth, texture_raster, volume

VIEWS = ("front", "left", "right", "top")


@pytest.fixture(scope="module")
def tiny():
    return support.generator(support.TINY)


@pytest.fixture(scope="module")
def inputs(tiny):
    """ws, cameras, vertices, landmarks of the batch of two."""
    cameras = support.cameras()[:2]
    return tiny.map_latent(support.latents(), cameras), cameras, *support.heads()


@pytest.fixture(scope="module")
def goldens():
    return Goldens("tiny_goldens.npz")


@pytest.fixture(scope="module")
def raster():
    return Goldens("raster_goldens.npz")


@pytest.fixture(scope="module")
def views(tiny, inputs):
    ws, _, vertices, _ = inputs
    texture = tiny.neural_texture(ws)
    drawn = {view: tiny.render_texture(texture, vertices, view) for view in VIEWS}
    return texture, drawn


def as_image(features):
    """Of square views, ray by ray: [B, R * R, C] -> [B, C, R, R]."""
    side = math.isqrt(features.shape[1])
    return features.transpose(1, 2).unflatten(2, (side, side))


def check_render(goldens, case, rendered, sigma=None):
    weights = goldens[f"{case}.weights_sum.value"]
    opaque = weights > 0.05
    assert goldens.error(f"{case}.feature", rendered.features) < 5e-4
    assert goldens.error(f"{case}.weights_sum", rendered.weights) < 5e-4
    assert np.array_equal(goldens[f"{case}.depth.index"], goldens[f"{case}.weights_sum.index"])
    assert goldens.error(f"{case}.depth", rendered.distance, opaque) < 1e-3
    assert goldens.error(f"{case}.depth", rendered.distance) < 1e-2
    if sigma is not None:
        assert goldens.error(sigma, rendered.coarse_density) < 2e-2


def test_mapping(tiny, inputs, goldens):
    assert goldens.error("front/ws", inputs[0]) < 1e-5
    untruncated = tiny.map_latent(support.latents(), inputs[1], truncation_psi=1)
    assert goldens.error("front/ws_psi1", untruncated) < 1e-5


@pytest.mark.parametrize("index", range(4))
def test_rasterized_views(tiny, inputs, raster, index):
    view = VIEWS[index]
    _, _, vertices, landmarks = inputs
    fragments = texture_raster.rasterize_view(vertices, tiny.uv_layout, view, tiny.config)
    grid = fragments.interpolate(tiny.uv_layout.face_uvs)
    alpha = texture_raster.masked_coverage(fragments, grid, tiny.uv_layout)
    right, up, _ = texture_raster.to_screen(landmarks, view, tiny.config).unbind(-1)

    name = f"view{index}"
    assert raster.error(f"{name}/face_ids", fragments.face_ids) == 0
    assert raster.error(f"{name}/zbuf", fragments.z) < 1e-4
    assert raster.error(f"{name}/bary", fragments.barycentrics) < 1e-4
    assert raster.error(f"{name}/uv_raw", grid.permute(0, 3, 1, 2)) < 1e-4
    assert raster.error(f"{name}/alpha_prefill", alpha) < 1e-4
    assert raster.error(f"{name}/lm2d", torch.stack([right, -up], -1)) < 1e-5


def test_texture_and_its_renderings(views, goldens, raster):
    texture, drawn = views
    side = texture_raster.combine_sides(drawn["left"], drawn["right"])
    assert goldens.error("front/texture", texture) < 2e-4
    for name, rendering in (("front", drawn["front"]), ("side", side), ("top", drawn["top"])):
        assert goldens.error(f"front/render_{name}", rendering.features) < 2e-4
        index, want = (raster[f"alpha_{name}.{part}"] for part in ("index", "value"))
        differs = np.abs(rendering.alpha.reshape(-1).numpy()[index] - want) > 1e-5
        assert differs.mean() <= 1e-3


def test_mouth_and_blending(tiny, inputs, views, goldens, raster):
    ws, _, _, landmarks = inputs
    front = views[1]["front"].features
    boxes = mouth.mouth_boxes(landmarks, tiny.config)
    assert np.array_equal(boxes.numpy(), raster["mouth_boxes"])
    cropped = mouth.crop(front, boxes)
    inside = tiny.mouth_plane(cropped, ws)
    assert goldens.error("front/mouth_in", cropped) < 3e-4
    assert goldens.error("front/mouth_plane", inside) < 3e-4
    assert goldens.error("front/stitch_in", mouth.paste(front, inside, boxes)) < 3e-4
    assert goldens.error("front/blend", tiny.blend_mouth(front, ws, landmarks)) < 3e-4


def test_planes_and_render(tiny, inputs, goldens):
    ws, cameras, vertices, landmarks = inputs
    assert goldens.error("front/static", tiny.static_planes(ws)) < 2e-4
    planes = tiny.planes(ws, vertices, landmarks)
    assert goldens.error("front/blended_planes", planes) < 3e-4
    rendered = tiny.render(planes, cameras, 32)
    check_render(goldens, "front/vr2_32", rendered, "front/sigma_call2")
    assert goldens.error("front/image_raw", as_image(rendered.features)[:, :3]) < 1e-3
    check_render(goldens, "front/vr1_64", tiny.render(planes, cameras, 64), "front/sigma_call0")


def test_densities_of_the_fine_samples(tiny, inputs, goldens):
    ws, cameras, vertices, landmarks = inputs
    planes = tiny.planes(ws, vertices, landmarks)
    coarse = tiny.render(planes, cameras, 32)
    depths = coarse.coarse_depths.expand(2 * 32 * 32, -1)
    weights = volume.march_weights(depths, coarse.coarse_density.flatten(0, 1))
    fine = volume.importance_depths(depths, weights, tiny.config.depth_resolution_importance)
    origins, directions = Camera.from_vector(cameras).rays(32)
    points = origins[:, :, None] + fine.view(2, 32 * 32, -1, 1) * directions[:, :, None]
    density = volume.density_at(planes, tiny.decoder, points.flatten(1, 2), tiny.config.box_warp)
    assert goldens.error("front/sigma_call3", density) < 2e-2


def test_image(tiny, inputs, goldens):
    out = tiny.synthesize(*inputs)
    assert out.image.shape == (2, 3, 512, 512)
    assert goldens.error("front/image", out.image) < 1e-3


def test_image_with_an_average_to_truncate_to(inputs, goldens):
    generator = support.generator(support.TINY)
    average = np.float32(0.1) * support.normal("backbone.mapping.w_avg", (512,))
    generator.load_state_dict(
        generator.state_dict() | {"backbone.mapping.w_avg": torch.from_numpy(average)}
    )
    _, cameras, vertices, landmarks = inputs
    ws = generator.map_latent(support.latents(), cameras)
    assert goldens.error("wavg/ws", ws) < 1e-5
    planes = generator.planes(ws, vertices, landmarks)
    assert goldens.error("wavg/blended_planes", planes) < 3e-4


@pytest.mark.parametrize("rays", [32, 128, 160])
def test_original_variant(inputs, goldens, rays):
    ws, cameras, vertices, landmarks = inputs
    generator = support.generator(support.TINY, "original")
    planes = generator.planes(ws, vertices, landmarks)
    case = f"original_{rays}"
    assert goldens.error(f"{case}/blended_planes", planes) < 3e-4
    rendered = generator.render(planes, cameras, rays)
    check_render(goldens, f"{case}/vr1_{rays}", rendered)
    features = as_image(rendered.features)
    assert goldens.error(f"{case}/image_raw", features[:, :3]) < 1e-3
    image = generator.upscale(features[:1], ws[:1])
    assert goldens.error(f"{case}/image", image, first=True) < 1e-3


@pytest.mark.slow
def test_full_size(raster):
    """The released model's size, both variants; about a minute and 3 GiB."""
    goldens = Goldens("full_goldens.npz")
    generator = support.generator(support.FULL)
    cameras, (vertices, landmarks) = support.cameras()[:2], support.heads()
    ws = generator.map_latent(support.latents(), cameras)
    heads = (ws, cameras, vertices, landmarks)
    assert goldens.error("front/ws", ws) < 1e-5
    assert goldens.error("front/texture", generator.neural_texture(ws)) < 2e-4
    assert goldens.error("front/static", generator.static_planes(ws)) < 2e-4
    planes = generator.planes(ws, vertices, landmarks)
    assert goldens.error("front/blended_planes", planes) < 3e-4
    check_render(goldens, "front/vr1_128", generator.render(planes, cameras, 128))
    assert goldens.error("front/image", generator.synthesize(*heads).image) < 1e-3
    generator.variant = "original"
    assert goldens.error("original_64/image", generator.synthesize(*heads).image) < 1e-3
    features = generator.render(generator.planes(ws, vertices, landmarks), cameras, 64).features
    assert goldens.error("original_64/image_raw", as_image(features)[:, :3]) < 1e-3
