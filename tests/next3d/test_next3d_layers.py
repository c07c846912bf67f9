"""Layers against numbers of the real ones, and identities that hold for any input."""

import numpy as np
import pytest
import support_next3d as support
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from synthforge.next3d import convolutions, layers
from synthforge.next3d.networks import EncoderStage

SHAPES = {
    "x": (2, 6, 8, 10),
    "w3": (5, 6, 3, 3),
    "w1": (5, 6, 1, 1),
    "st": (2, 6),
    "nz": (8, 10),
    "nz2": (16, 20),
    "b5": (5,),
    "fcx": (3, 12),
    "w": (2, 16),
    "x8": (2, 6, 8, 8),
    "x4": (2, 4, 16, 16),
    "skip": (2, 6, 8, 8),
}
FOLDED, SHARED = "folded", "shared"


@pytest.fixture(scope="module")
def goldens():
    with np.load(support.GOLDEN_DIR / "units.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def unit(name):
    return torch.from_numpy(support.normal(f"unit:{name}", SHAPES[name]))


def assert_close(got, want, tolerance=1e-5):
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


def run_layer(layer, mode, *inputs):
    """As one batch (shared weights) or sample by sample (styles folded into weights)."""
    if mode == SHARED:
        return layer(*inputs)
    return torch.cat([layer(*(x[i : i + 1] for x in inputs)) for i in range(2)])


def test_second_moment_normalize(goldens):
    assert_close(layers.second_moment_normalize(unit("fcx")), goldens["norm2"])


@pytest.mark.parametrize(
    ("layer", "prefix", "golden"),
    [
        (layers.FullyConnected(12, 7), "unit.fc_lin.", "fc_linear"),
        (
            layers.FullyConnected(12, 7, lr_mul=0.01, lrelu=True),
            "unit.mapping.fc0.",
            "fc_mapping",
        ),
    ],
)
def test_fully_connected(goldens, layer, prefix, golden):
    support.fill(layer, prefix)
    assert_close(layer(unit("fcx")), goldens[golden])


def test_upsample2d(goldens):
    assert_close(convolutions.upsample2d(unit("x")), goldens["upsample2d"])


def test_halving_filter(goldens):
    assert_close(convolutions.halving_filter(6)(unit("x")), goldens["downsample2d"])


def test_filters_move_with_their_module_and_stay_out_of_its_weights():
    layer = layers.SynthesisLayer(6, 5, 16, 16, up=True)
    assert not any("kernel" in name for name in layer.state_dict())
    assert layer.to("meta").up.kernel.is_meta


def test_upsample2d_is_zero_insertion_and_the_binomial_filter():
    x = torch.randn(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    spread = torch.zeros(1, 3, 10, 14)
    spread[:, :, ::2, ::2] = x
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps)[None, None].expand(3, 1, 4, 4) / 16
    want = F.conv2d(F.pad(spread, (2, 1, 2, 1)), kernel, groups=3)
    assert_close(convolutions.upsample2d(x), want)


@pytest.mark.parametrize("mode", [FOLDED, SHARED])
@pytest.mark.parametrize(
    ("golden", "weight", "options", "noise"),
    [
        ("modconv", "w3", {}, "nz"),
        ("modconv_up2", "w3", {"up": convolutions.doubling_filter(5)}, "nz2"),
        ("modconv_rgb", "w1", {"demodulate": False}, None),
    ],
)
def test_modulated_conv2d(goldens, mode, golden, weight, options, noise):
    def convolve(x, styles):
        return convolutions.modulated_conv2d(x, unit(weight), styles, **options)

    got = run_layer(convolve, mode, unit("x"), unit("st"))
    assert_close(got if noise is None else got + unit(noise), goldens[golden])


@pytest.mark.parametrize("mode", [FOLDED, SHARED])
def test_modulated_conv2d_in_half_precision(goldens, mode):
    def convolve(x, styles):
        return convolutions.modulated_conv2d(x, 50 * unit("w3"), 50 * styles)

    got = run_layer(convolve, mode, unit("x").half(), unit("st"))
    assert got.dtype == torch.float16
    assert_close(got.float(), goldens["modconv_fp16"].float(), 1e-2)


def test_half_precision_cannot_overflow_where_demodulation_cancels_the_scale():
    x, weight, styles = unit("x"), 1e4 * unit("w3"), 1e4 * unit("st")
    got = convolutions.modulated_conv2d(x.half(), weight, styles)
    assert_close(got.float(), convolutions.modulated_conv2d(x, weight, styles), 2e-2)


@pytest.mark.parametrize("batch", [1, 2])
def test_gain_scales_the_convolution_but_not_the_bias(batch):
    x, weight, styles, bias = unit("x")[:batch], unit("w3"), unit("st")[:batch], unit("b5")
    plain = convolutions.modulated_conv2d(x, weight, styles)
    got = convolutions.modulated_conv2d(x, weight, styles, bias, gain=3.0)
    assert_close(got, 3 * plain + bias[:, None, None])


@pytest.mark.parametrize("mode", [FOLDED, SHARED])
@pytest.mark.parametrize(
    ("layer", "prefix", "golden"),
    [
        (layers.SynthesisLayer(6, 5, 16, 16, up=True), "unit.up.", "layer_up"),
        (layers.SynthesisLayer(6, 5, 8, 16), "unit.same.", "layer_same"),
        (layers.ToRGB(6, 5, 16), "unit.torgb.", "layer_torgb"),
    ],
)
def test_styled_layers(goldens, mode, layer, prefix, golden):
    support.fill(layer, prefix)
    assert_close(run_layer(layer, mode, unit("x8"), unit("w")), goldens[golden])


def test_clamp_bounds_activations():
    layer = layers.SynthesisLayer(6, 5, 8, 16, clamp=0.5)
    free = layers.SynthesisLayer(6, 5, 8, 16)
    for module in (layer, free):
        support.fill(module, "unit.same.")
    got, want = layer(unit("x8"), unit("w")), free(unit("x8"), unit("w"))
    assert want.abs().max() > 0.5
    assert_close(got, want.clamp(-0.5, 0.5))


def test_conv2d_and_encoder_stage(goldens):
    fusion = layers.Conv2d(6, 5, 3)
    support.fill(fusion, "unit.fusion.")
    assert_close(fusion(unit("x8")), goldens["fusion"])

    stage = EncoderStage(4, 6, 5)
    support.fill(stage, "unit.enc.")
    condition = convolutions.halving_filter(4)(unit("x4"))
    assert_close(condition, goldens["enc_in"])
    assert_close(stage(condition, unit("skip")), goldens["enc_out"])


HALF = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.SynthesisLayer(6, 5, 16, 16, up=True),
        lambda: layers.SynthesisLayer(6, 5, 8, 16),
        lambda: layers.ToRGB(6, 5, 16),
        lambda: layers.Conv2d(6, 5, 3, lrelu=True),
    ],
)
def test_what_is_kept_of_weights_follows_them(layer, batch, dtype):
    """Weights that change in place, that are loaded, and that are replaced."""

    def run(module):
        styles = () if isinstance(module, layers.Conv2d) else (unit("w")[:batch],)
        return module(unit("x8")[:batch].to(dtype), *styles)

    def fresh(module):
        made = layer()
        for mine, other in zip(made.parameters(), module.parameters(), strict=True):
            mine.copy_(other)
        for mine, other in zip(made.buffers(), module.buffers(), strict=True):
            mine.copy_(other)
        return run(made)

    module = layer()
    support.fill(module, "unit.same.")
    before = run(module)
    assert torch.equal(run(module), before)
    for change in (
        lambda: [weight.mul_(1.5).add_(0.1) for weight in module.parameters()],
        lambda: module.load_state_dict({k: v + 1 for k, v in module.state_dict().items()}),
        lambda: module.load_state_dict(
            {k: v - 0.5 for k, v in module.state_dict().items()}, assign=True
        ),
    ):
        change()
        after = run(module)
        assert not torch.equal(after, before)
        assert torch.equal(after, fresh(module))
        before = after


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_flow_past_what_was_kept_in_inference_mode(dtype):
    module = layers.SynthesisLayer(6, 5, 8, 16)
    support.fill(module, "unit.same.")
    x, w = unit("x8").to(dtype), unit("w").clone().requires_grad_()
    with torch.inference_mode():
        module(x, w)
    module(x, w).float().sum().backward()
    assert torch.isfinite(w.grad).all() and w.grad.any()


class Seen(TorchDispatchMode):
    """Operations on any of these tensors."""

    def __init__(self, tensors):
        super().__init__()
        self.ids, self.names = {id(tensor) for tensor in tensors}, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(id(x) in self.ids for x in tree_leaves((args, kwargs))):
            self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_computes_nothing_of_weights_alone_twice(dtype):
    """A shared convolution reads its half copy, and no weight of float32 but the affine's."""
    for module in (layers.SynthesisLayer(6, 5, 16, 16, up=True), layers.Conv2d(6, 5, 3, down=True)):
        support.fill(module, "unit.up.")
        own = [tensor for name, tensor in module.named_parameters() if "affine" not in name]
        own += module.buffers()
        styles = () if isinstance(module, layers.Conv2d) else (unit("w"),)
        with Seen(own) as first:
            module(unit("x8").to(dtype), *styles)
        with Seen(own) as second:
            module(unit("x8").to(dtype), *styles)
        assert first.names and not second.names
