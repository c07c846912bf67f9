"""The generator's public face: loading weights, batches, precisions, errors."""

import dataclasses
import functools
from contextlib import nullcontext

import pytest
import support_next3d as support
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from synthforge import raster_torch, rasterizer
from synthforge.camera import Camera
from synthforge.generator import GeneratorOutput
from synthforge.mesh import Mesh
from synthforge.next3d import (
    Next3D,
    Next3DConfig,
    Next3DGenerator,
    next3d,
    texture_raster,
)
from synthforge.next3d.checkpoint import Checkpoint, save_safetensors
from synthforge.next3d.precision import DTYPES, arithmetic

# A quarter of TINY's rays: these tests are about plumbing.
CONFIG = dataclasses.replace(support.TINY, neural_rendering_resolution=8)


@pytest.fixture(scope="module")
def generator():
    return support.generator(CONFIG)


@pytest.fixture(scope="module")
def inputs(generator):
    cameras = support.cameras()[:2]
    return generator.map_latent(support.latents(), cameras), cameras, *support.heads()


@pytest.fixture(scope="module")
def output(generator, inputs):
    return generator.synthesize(*inputs)


def fresh(variant="front", seed=0):
    return Next3D.from_config(
        CONFIG, support.topology(), support.uv_face_mask(), variant, seed=seed
    )


def test_output_shapes_and_ranges(output):
    assert output.image.shape == (2, 3, 512, 512)
    assert output.ray_distance.shape == output.opacity.shape == (2, 1, 8, 8)
    assert output.points_gen.shape == (2, 8 * 8 * 48, 3)
    assert output.density.shape == (2, 8 * 8 * 48)
    given = [value for value in vars(output).values() if value is not None]
    assert all(value.dtype == torch.float32 for value in given)
    assert ((output.opacity >= 0) & (output.opacity <= 1 + 1e-5)).all()
    assert (output.ray_distance > 2.25).all()
    assert (output.ray_distance < 3.35).all()


def test_a_sample_of_a_batch_is_the_sample_alone(generator, inputs, output):
    alone = generator.synthesize(*(x[1:] for x in inputs))
    assert torch.equal(alone.image[0], output.image[1])
    assert torch.equal(alone.ray_distance[0], output.ray_distance[1])
    one = generator.map_latent(support.latents()[1:], support.cameras()[1:2])
    assert torch.equal(one[0], inputs[0][1])


def test_a_batch_with_shared_weights_is_the_same_within_tolerance(generator, inputs):
    """What a batch does on CUDA: scale feature maps instead of weights."""
    ws, _, vertices, landmarks = inputs
    together = generator.planes(ws, vertices, landmarks)
    for i in range(2):
        alone = generator.planes(*(x[i : i + 1] for x in (ws, vertices, landmarks)))
        torch.testing.assert_close(together[i], alone[0], atol=1e-3, rtol=0)


def densities(generator, inputs, samples, device="cpu"):
    """What `density` gives for a call with these samples."""
    ws, _, vertices, landmarks = (x[samples].to(device) for x in inputs)
    points = torch.linspace(-0.4, 0.4, 300, device=device).view(1, 100, 3)
    return generator.density(points.repeat(len(samples), 1, 1), ws, vertices, landmarks)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_neighbours_and_their_number_change_nothing_off_the_cpu(inputs, precision, monkeypatch):
    """CUDA's batches and precisions, on CPU."""
    for sizes in (next3d.BATCH, next3d.HALF_BATCH):
        monkeypatch.setitem(sizes, "cpu", 4)
    monkeypatch.setattr(Next3D, "_arithmetic", lambda self: nullcontext(DTYPES[self.precision]))
    generator = support.generator(CONFIG, precision=precision)
    alone = densities(generator, inputs, [0])[0]
    five = densities(generator, inputs, [0, 1, 1, 0, 0])
    assert len(five) == 5
    assert torch.equal(five[0], alone)
    assert torch.equal(five[4], alone)


@pytest.mark.parametrize(
    ("precision", "device", "size"),
    [("fp32", "cpu", 1), ("bf16", "cpu", 1), ("tf32", "meta", 4), ("fp16", "meta", 16)],
)
def test_samples_computed_at_once(precision, device, size):
    assert support.generator(CONFIG, precision=precision).to(device).batch_size == size


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8])
def test_stages_see_full_batches_alone(generator, count, monkeypatch):
    monkeypatch.setitem(next3d.BATCH, "cpu", 4)
    seen = []
    x = torch.arange(2.0 * count).view(count, 2)
    got = generator._in_batches(lambda x: (seen.append(len(x)), x + 1)[1], x)
    assert torch.equal(got, x + 1)
    assert set(seen) == {4}


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16", "bf16"])
def test_neighbours_their_number_and_place_change_nothing_on_cuda(inputs, precision):
    generator = support.generator(CONFIG, precision=precision).to("cuda")
    alone = densities(generator, inputs, [0], "cuda")[0]
    for samples in ([0, 1], [1, 0], [1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 1, 0]):
        got = densities(generator, inputs, samples, "cuda")
        assert torch.equal(got[samples.index(0)], alone)
        assert torch.equal(got[-1], alone) or samples[-1] == 1


def test_density_is_what_the_renderer_saw(generator, inputs, output):
    ws, _, vertices, landmarks = inputs
    density = generator.density(output.points_gen, ws, vertices, landmarks)
    torch.testing.assert_close(density, output.density, atol=2e-2, rtol=0)


def test_rays_a_side_are_an_argument_not_a_setting(generator, inputs):
    one = tuple(x[:1] for x in inputs)
    planes = generator.planes(one[0], *one[2:])
    assert generator.render(planes, one[1], 5).distance.shape == (1, 25)
    assert generator.config.neural_rendering_resolution == 8


def test_front_variant_draws_on_the_front_plane_alone(generator, inputs):
    ws, _, vertices, landmarks = (x[:1] for x in inputs)
    static = generator.static_planes(ws)
    front = generator.planes(ws, vertices, landmarks)
    original = support.generator(CONFIG, "original").planes(ws, vertices, landmarks)
    assert torch.equal(front[:, 1:], static[:, 1:])
    assert torch.equal(front[:, 0], original[:, 0])
    assert not torch.equal(original[:, 1], static[:, 1])
    assert not torch.equal(original[:, 2], static[:, 2])


def test_truncation(generator):
    z, cameras = support.latents(), support.cameras()[:2]
    free = generator.map_latent(z, cameras, truncation_psi=1)
    assert torch.equal(free[:, 0], free[:, 27])
    half = generator.map_latent(z, cameras, truncation_psi=0.5, truncation_cutoff=14)
    average = generator.backbone["mapping"].w_avg
    torch.testing.assert_close(half[:, :14], average + 0.5 * (free[:, :14] - average))
    assert torch.equal(half[:, 14:], free[:, 14:])
    everywhere = generator.map_latent(z, cameras, truncation_psi=0.5, truncation_cutoff=None)
    assert torch.equal(everywhere[:, 27], half[:, 0])


def test_conditioning_can_be_scaled_away():
    silent = support.generator(dataclasses.replace(CONFIG, c_scale=0.0))
    zeroed = support.generator(dataclasses.replace(CONFIG, c_gen_conditioning_zero=True))
    z, cameras = support.latents()[:1].expand(2, -1), support.cameras()[:2]
    for generator in (silent, zeroed):
        ws = generator.map_latent(z, cameras)
        torch.testing.assert_close(ws[0], ws[1])


def test_fresh_weights_follow_the_seed():
    one, same, other = fresh(), fresh(), fresh(seed=1)
    key = "backbone.synthesis.b8.conv0.weight"
    assert torch.equal(one.state_dict()[key], same.state_dict()[key])
    assert not torch.equal(one.state_dict()[key], other.state_dict()[key])
    assert (one.state_dict()["backbone.synthesis.b8.conv0.affine.bias"] == 1).all()
    assert one.state_dict()["backbone.mapping.fc0.weight"].std() == pytest.approx(100, rel=0.01)


def test_load_state_dict_tolerates_dead_and_extra_names(generator):
    state = generator.state_dict() | {
        "texture_backbone.mapping.fc0.weight": torch.zeros(512, 1024),
        "mouth_backbone.synthesis.b4.const": torch.zeros(32, 4, 4),
        "superresolution.block0.conv0.noise_const": torch.zeros(256, 256),
        "dataset_label_std": torch.zeros(25),
    }
    loaded = fresh()
    loaded.load_state_dict(state)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert tensor.stride() == generator.state_dict()[name].stride()


def test_load_state_dict_takes_the_mesh(generator):
    faces = generator.faces[:, :100]
    state = generator.state_dict() | {
        "faces": faces,
        "face_uvcoords": generator.face_uvcoords[:, :100],
    }
    loaded = fresh()
    loaded.load_state_dict(state)
    assert torch.equal(loaded.uv_layout.faces, faces[0, :, [0, 2, 1]])


def test_load_state_dict_names_what_does_not_fit(generator):
    state = dict(generator.state_dict())
    del state["decoder.net.0.weight"]
    state["backbone.synthesis.b64.conv1.bias"] = torch.zeros(3)
    before = fresh()
    kept = before.state_dict()["decoder.net.2.weight"].clone()
    with pytest.raises(ValueError, match=r"missing \(1\): decoder.net.0.weight") as error:
        before.load_state_dict(state)
    assert "backbone.synthesis.b64.conv1.bias (3,), expected (16,)" in str(error.value)
    assert torch.equal(before.state_dict()["decoder.net.2.weight"], kept)


def test_load_takes_a_saved_checkpoint(generator, tmp_path):
    mesh = {"faces": generator.faces, "face_uvcoords": generator.face_uvcoords}
    tensors = {name: x.contiguous() for name, x in {**generator.state_dict(), **mesh}.items()}
    checkpoint = Checkpoint(CONFIG, tensors, generator.uv_face_mask)
    path = tmp_path / "copy.safetensors"
    save_safetensors(checkpoint, path)
    loaded = Next3D.load(path, variant="original")
    assert (loaded.config, loaded.variant) == (CONFIG, "original")
    assert torch.equal(loaded.faces, generator.faces)
    assert torch.equal(loaded.uv_face_mask, generator.uv_face_mask)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, tensors[name])
        assert tensor.stride() == generator.state_dict()[name].stride()

    del tensors["faces"], tensors["decoder.net.0.bias"]
    save_safetensors(checkpoint, path)
    with pytest.raises(ValueError, match="faces"):
        Next3D.load(path)


def test_live_names_are_the_checkpoints():
    """444 of the released 674 names are live; two of them are the mesh's."""
    names = set(fresh().state_dict())
    assert len(names) == 442
    assert not any("resample_filter" in name for name in names)
    assert "neural_blending.synthesis.fusion.2.weight" in names
    assert "neural_blending.synthesis.fusion.3.weight" not in names
    assert "neural_blending.synthesis.b32.conv1.weight" not in names


@pytest.mark.parametrize("tf32", [False, True])
def test_arithmetic_leaves_the_users_settings_of_cudnn(tf32, monkeypatch):
    """Flags can be set without a GPU."""
    cudnn = torch.backends.cudnn
    users = {"enabled": False, "benchmark": True, "deterministic": False, "allow_tf32": not tf32}
    for name, value in users.items():
        monkeypatch.setattr(cudnn, name, value)
    with arithmetic("tf32" if tf32 else "fp32", torch.device("cuda")):
        assert cudnn.allow_tf32 == tf32
        assert cudnn.deterministic
        assert (cudnn.enabled, cudnn.benchmark) == (False, True)
    assert {name: getattr(cudnn, name) for name in users} == users


@pytest.mark.parametrize("precision", ["fp16", "tf32"])
def test_gpu_precisions_are_refused_on_cpu(inputs, precision):
    generator = support.generator(CONFIG, precision=precision)
    with pytest.raises(ValueError, match="needs a CUDA device"):
        generator.synthesize(*inputs)


class DeviceOnly(TorchDispatchMode):
    """Fails where anything but the meta device computes."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        assert all(x.is_meta for x in tensors), f"{func} involves the CPU"
        return out


@pytest.mark.parametrize("variant", ["front", "original"])
def test_a_synthesis_needs_no_host_sync_and_no_upload(variant):
    """On the meta device tensors have no values: reading one back, a host sync, raises."""
    generator = Next3DGenerator(support.generator(CONFIG, variant).to("meta"))
    mesh = Mesh(*(x.to("meta") for x in (*support.heads(), support.topology())))
    camera = Camera.from_vector(support.cameras()[:2].to("meta"))
    z = support.latents().to("meta")
    with DeviceOnly():
        output = generator.generate(z, mesh, camera)
    assert output.image.shape == (2, 3, 512, 512)


@pytest.mark.parametrize("variant", ["front", "original"])
def test_what_a_gpu_runs_draws_the_same(variant, monkeypatch):
    """Batches, rasterizing of fixed size and labels by propagation, on CPU."""
    generator = support.generator(CONFIG, variant)
    inputs = generator.map_latent(support.latents(), support.cameras()[:2]), support.cameras()[:2]
    inputs = *inputs, *support.heads()
    want = generator.synthesize(*inputs)
    fixed_size = functools.partial(rasterizer.rasterize, max_layers=texture_raster._MAX_LAYERS)
    monkeypatch.setattr(
        texture_raster,
        "rasterize",
        lambda *args, max_layers, **kwargs: fixed_size(*args, **kwargs),
    )
    monkeypatch.setattr(rasterizer, "_in_compiled_loops", lambda *tensors: False)
    monkeypatch.setattr(
        raster_torch, "_pixels_to_resolve", lambda ids, differentiable: torch.arange(len(ids))
    )
    monkeypatch.setattr(texture_raster, "connected_to_corner", texture_raster._propagate)
    monkeypatch.setitem(next3d.BATCH, "cpu", 2)
    got = generator.synthesize(*inputs)
    tolerance = 1e-3 * want.image.std().item()
    torch.testing.assert_close(got.image, want.image, atol=tolerance, rtol=0)
    torch.testing.assert_close(got.opacity, want.opacity, atol=1e-3, rtol=0)


def test_half_precision_draws_the_same_planes(generator, inputs, monkeypatch):
    """CUDA's fp16 on CPU, where it is too slow for the whole image."""
    monkeypatch.setattr(Next3D, "_arithmetic", lambda self: nullcontext(DTYPES[self.precision]))
    ws, _, *head = inputs
    want = generator.planes(ws, *head)
    got = support.generator(CONFIG, precision="fp16").planes(ws, *head)
    error = (got - want).square().mean().sqrt()
    assert 0 < error < 0.01 * want.std()


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-3), ("tf32", 0.02), ("fp16", 0.02), ("bf16", 0.05)]
)
def test_cuda_draws_what_the_cpu_draws(inputs, output, precision, tolerance):
    generator = support.generator(CONFIG, precision=precision).to("cuda")
    got = generator.synthesize(*(x.cuda() for x in inputs))
    error = (got.image.cpu() - output.image).square().mean().sqrt()
    assert error < tolerance * output.image.std()


def test_bfloat16_is_close_to_float32(inputs, output):
    generator = support.generator(CONFIG, precision="bf16")
    image = generator.synthesize(*(x[:1] for x in inputs)).image
    error = (image - output.image[:1]).square().mean().sqrt()
    assert 0 < error < 0.03 * output.image.std()
    assert image.dtype == torch.float32


@pytest.mark.parametrize(
    ("position", "bad", "message"),
    [
        (0, torch.zeros(2, 14, 512), r"ws is \(2, 14, 512\), expected \(any, 28, 512\)"),
        (1, torch.zeros(1, 25), "camera25"),
        (2, torch.zeros(2, 100, 3), "pass the head model"),
        (3, torch.zeros(2, 51, 3), "landmarks"),
    ],
)
def test_bad_inputs_are_named(generator, inputs, position, bad, message):
    changed = list(inputs)
    changed[position] = bad
    with pytest.raises(ValueError, match=message):
        generator.synthesize(*changed)


@pytest.mark.parametrize("position", range(4))
def test_inputs_of_another_kind_are_named(generator, inputs, position):
    name = ("ws", "camera25", "vertices", "landmarks")[position]
    for bad, message in (
        (inputs[position].long(), "expected torch.float32"),
        (inputs[position].to("meta"), "is on meta"),
        (inputs[position] * torch.nan, "not finite"),
    ):
        changed = [bad if i == position else x for i, x in enumerate(inputs)]
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            generator.synthesize(*changed)
    with pytest.raises(ValueError, match="ws is an empty batch"):
        generator.synthesize(*(x[:0] for x in inputs))


def test_double_precision_is_taken(generator, inputs, output):
    got = generator.synthesize(*(x[:1].double() for x in inputs))
    assert torch.equal(got.image, output.image[:1])


@pytest.mark.parametrize("rays", [0, -3, 8.0])
def test_a_number_of_rays_that_cannot_be_is_named(generator, inputs, rays):
    with pytest.raises(ValueError, match="neural_rendering_resolution"):
        generator.synthesize(*inputs, neural_rendering_resolution=rays)


def test_a_camera_without_focal_length_is_named(generator, inputs):
    ws, cameras, vertices, landmarks = inputs
    flat = cameras.clone()
    flat[1, 20] = 0
    with pytest.raises(ValueError, match="focal length of 0"):
        generator.synthesize(ws, flat, vertices, landmarks)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        Next3D.from_config(CONFIG, support.topology(), 255 * torch.ones(1, 1, 256, 256))
    with pytest.raises(ValueError, match="variant is 'side'"):
        Next3D.from_config(CONFIG, support.topology(), support.uv_face_mask(), "side")
    with pytest.raises(ValueError, match="precision is 'fp8'"):
        support.generator(CONFIG, precision="fp8")
    with pytest.raises(ValueError, match="uv_face_mask"):
        Next3D.from_config(CONFIG, support.topology(), torch.zeros(1, 1, 64, 64))


def test_pipeline_generator(generator, output):
    pipeline = Next3DGenerator(generator, truncation_psi=0.7, truncation_cutoff=14)
    vertices, landmarks = support.heads()
    mesh = Mesh(vertices, landmarks, support.topology())[:1]
    camera = Camera.from_vector(support.cameras()[:1])
    got = pipeline.generate(support.latents()[:1], mesh, camera)
    assert isinstance(got, GeneratorOutput)
    assert torch.equal(got.image, output.image[:1])
    assert torch.equal(got.opacity, output.opacity[:1])


def test_fingerprint_follows_weights_and_variant(generator):
    reference = Next3DGenerator(generator).fingerprint
    assert Next3DGenerator(support.generator(CONFIG)).fingerprint == reference
    assert Next3DGenerator(support.generator(CONFIG, "original")).fingerprint != reference
    changed = support.generator(CONFIG)
    changed.decoder.net[2].bias[0] += 1
    assert Next3DGenerator(changed).fingerprint != reference


def test_config_refuses_what_cannot_work():
    with pytest.raises(ValueError, match=r"Next3DConfig\.ray_start is 4"):
        Next3DConfig(ray_start=4.0)
    with pytest.raises(ValueError, match="depth_resolution"):
        Next3DConfig(depth_resolution=1)
    with pytest.raises(ValueError, match="finite"):
        Next3DConfig(box_warp=float("inf"))


def test_config_reads_rendering_kwargs():
    kwargs = {"c_scale": 1, "ray_end": 3.5, "box_warp": 1}
    config = Next3DConfig.from_rendering_kwargs(kwargs | {"density_reg": 0.25}, channel_max=64)
    assert (config.c_scale, config.ray_end, config.channel_max) == (1.0, 3.5, 64)
    assert Next3DConfig.from_rendering_kwargs({}).c_scale == 0
    with pytest.raises(ValueError, match="clamp_mode='relu' is not supported"):
        Next3DConfig.from_rendering_kwargs({"clamp_mode": "relu"})
    with pytest.raises(ValueError, match="ray_end='far'"):
        Next3DConfig.from_rendering_kwargs({"ray_end": "far"})


@pytest.mark.slow
def test_compiled_networks_draw_the_same(inputs, output):
    """Traced as torch.compile traces, without its code generator, which takes minutes."""
    compiled = support.generator(CONFIG)
    names = list(compiled.state_dict())
    compiled.compile_networks(backend="aot_eager")
    with torch.inference_mode():
        image = compiled.synthesize(*(x[:1] for x in inputs)).image
    torch.testing.assert_close(image[0], output.image[0], atol=1e-4, rtol=0)
    assert list(compiled.state_dict()) == names
