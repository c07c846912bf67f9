"""The same bits on any number of threads, in any batch and on any CPU."""

import subprocess
import sys

import numpy as np
import pytest
import support_same_bits
from support_mannequin import samples
from support_same_bits import SAMPLES, in_child

from synthforge.mannequin.render.scene import scene_from

# Operations that IEEE 754 fixes to the last bit, or that compute with integers, compare or move
# values. Nothing that may fuse, reassociate or approximate: no exp, sin or pow, no mean, no matrix
# product, convolution or interpolation, no index_add_.
_EXACT = """
__and__ __iand__ __ixor__ __lshift__ __or__ abs add add_ all amax amin any argmax bincount
bitwise_not ceil clamp clamp_ clamp_max clamp_min cumsum div div_ eq floor floor_divide ge gt
index_select argmin isfinite isin le lt masked_fill maximum minimum mul mul_ ne neg pow2 pow3
reciprocal remainder round round_ rsub scatter_reduce_ searchsorted sign sort sqrt sub sub_ where
avg_pool2d max bitwise_and
"""
_MOVES = """
_has_compatible_shallow_copy_type _unique2 alias arange cat clone contiguous copy_ detach
detach_ diag empty empty_like expand expand_as eye fill_ flatten flip full full_like gather
index index_copy index_copy_ index_fill_ index_put_ is_nonzero item lift_fresh masked_fill_ meshgrid
movedim narrow new_zeros nonzero
numpy_T ones ones_like pad permute rand randint randn randperm repeat repeat_interleave reshape
resolve_conj resolve_neg roll select slice split split_with_sizes squeeze stack t tensor_split to
transpose unbind unflatten uniform_ unique_dim unsqueeze view view_as zero_ zeros zeros_like
"""
EXACT_AND_MOVES = {*_EXACT.split(), *_MOVES.split()}
# The camera, one sample at a time, and the row of the jaw line: few numbers in float64, whose last
# bits are lost when they become float32 or whole degrees.
ROUNDED_OFF = {"acos", "atan2", "cos", "linalg_cross", "rad2deg", "sin", "sum", "tan"}
FEW = 16


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """One thread, all samples in one batch."""
    return in_child(tmp_path_factory.mktemp("bits") / "expected.npz")


def record_operations():
    """Names of the operations that build the head and make samples, with what is remarkable."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    names = set()

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            name = func.overloadpacket.__name__
            tensors = [x for x in tree_leaves(args) if isinstance(x, torch.Tensor)]
            few = all(x.dtype == torch.float64 and x.numel() <= FEW for x in tensors)
            whole = not any(x.is_floating_point() for x in tensors)
            if (name in ROUNDED_OFF and few) or (name == "sum" and whole):
                return func(*args, **(kwargs or {}))
            if name == "pow":
                name += str(args[1])
            elif name == "randn" and (kwargs or {}).get("dtype") != torch.float64:
                name = "randn of float32"
            elif (kwargs or {}).get("alpha", 1) != 1:
                name += " with alpha"
            names.add(name)
            return func(*args, **(kwargs or {}))

    with torch.inference_mode(), Record():
        support_same_bits.draw(SAMPLES)
    return names


def test_the_samples_hold_photographed_and_painted_backdrops_and_every_camera():
    z, _, _ = samples(SAMPLES, seed=4)
    scenes = [scene_from(row[256:]) for row in z]
    assert {scene.backdrop == "place" for scene in scenes} == {False, True}
    assert {scene.small for scene in scenes} == {False, True}
    assert {scene.coarse_grain for scene in scenes} == {False, True}


@pytest.mark.slow
def test_only_operations_that_round_alike_everywhere():
    """On any machine, even where the kernels at hand happen to agree."""
    code = (
        "import test_mannequin_same_bits as here\n"
        "print(*sorted(here.record_operations() - here.EXACT_AND_MOVES), sep=',')"
    )
    paths = [*sys.path, str(__file__).rpartition("/")[0]]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == ""


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "batch"), [(2, 1), (3, 2)])
def test_threads_and_batches(tmp_path, expected, threads, batch):
    drawn = in_child(tmp_path / "drawn.npz", batch=batch, threads=threads)
    assert drawn.keys() == expected.keys()
    for name, value in expected.items():
        assert value.tobytes() == drawn[name].tobytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_another_kind_of_cpu(tmp_path, expected, capability):
    """Far within what README.md promises: of all that torch computes the bits are the same."""
    import torch

    if capability.upper() == torch.backends.cpu.get_cpu_capability():
        pytest.skip("that is what this machine runs by default")
    drawn = in_child(tmp_path / "drawn.npz", capability=capability)
    for index in range(SAMPLES):
        for name in ("z", "flame_shape", "flame_exp", "flame_pose", "yaw_rad", "fov_deg"):
            assert np.array_equal(drawn[f"{name}/{index}"], expected[f"{name}/{index}"]), name
        ids = drawn[f"seg_id/{index}"] != expected[f"seg_id/{index}"]
        assert ids.mean() <= 1e-4
        levels = np.abs(
            drawn[f"images/{index}"].astype(int) - expected[f"images/{index}"].astype(int)
        )
        assert levels.max() <= 1
        assert (levels > 0).any(-1).mean() <= 1e-3
