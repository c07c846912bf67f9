"""Next3D's pickles: every tensor comes out, nothing in them runs, bad ones are told apart."""

import codecs
import dataclasses
import hashlib
import json
import lzma
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from support_next3d_files import (
    discriminator,
    write_checkpoint,
)
from support_next3d_loading import (
    MASK,
    TENSORS,
    assert_loads,
    loads_or_is_refused,
    mutated,
    small_record,
)
from support_pickles import Made, Name, Shared, dump, parameter_record

from flame_pytorch.errors import FileFormatError
from synthforge.cli.convert_checkpoint import convert_checkpoint
from synthforge.next3d.checkpoint import load_checkpoint, save_safetensors

DATA = Path(__file__).parent / "data"


def test_the_official_format(tmp_path):
    path = tmp_path / "next3d_ffhq_512.pkl"
    path.write_bytes(lzma.decompress((DATA / "official_format_tiny_low.pkl.xz").read_bytes()))
    expected = json.loads((DATA / "official_format_tensors.json").read_text())
    checkpoint = load_checkpoint(path)
    assert list(checkpoint.tensors) == list(expected)
    for name, (shape, dtype, digest) in expected.items():
        tensor = checkpoint.tensors[name]
        assert (list(tensor.shape), str(tensor.dtype)) == (shape, f"torch.{dtype}"), name
        assert hashlib.sha256(tensor.numpy().tobytes()).hexdigest()[:16] == digest, name
    assert (checkpoint.config.channel_base, checkpoint.config.channel_max) == (1024, 32)
    assert checkpoint.config.neural_rendering_resolution == 32
    assert checkpoint.config.c_scale == 1
    assert checkpoint.config.orth_shift == pytest.approx((0, -0.01, -0.01))


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("numpy_core", ["numpy.core", "numpy._core"])
def test_protocols_and_numpy_names(tmp_path, protocol, numpy_core):
    path = tmp_path / "a.pkl"
    write_checkpoint(path, TENSORS, MASK, protocol=protocol, numpy_core=numpy_core)
    assert_loads(path)


def test_renamed_modules_extra_buffers_and_unknown_networks(tmp_path):
    path = tmp_path / "a.pkl"
    tensors = TENSORS | {"backbone.extra.resample_filter": torch.ones(2, dtype=torch.int32)}
    others = {"D": discriminator(torch.randn(5)), "augment_pipe": Made("training.augment.Pipe")}
    module = "triplane_v13_neural_blending"
    write_checkpoint(path, tensors, MASK, generator_module=module, others=others)
    # Children come in the order in which they were first seen.
    checkpoint = load_checkpoint(path)
    assert checkpoint.tensors.keys() == tensors.keys()


def test_tied_weights_stay_tied(tmp_path):
    path = tmp_path / "a.pkl"
    tied = Shared(5, parameter_record(torch.randn(3)))
    record = small_record()
    state = record["G_ema"].args[0]["state"]
    state["_parameters"].mapping.update(a=tied, b=tied)
    path.write_bytes(dump(record))
    tensors = load_checkpoint(path).tensors
    assert tensors["a"] is tensors["b"]
    save_safetensors(load_checkpoint(path), tmp_path / "a.safetensors")
    assert torch.equal(load_checkpoint(tmp_path / "a.safetensors").tensors["b"], tensors["a"])


def test_a_safetensors_copy_is_the_same(tmp_path):
    write_checkpoint(tmp_path / "a.pkl", TENSORS, MASK, neural_rendering_resolution=128)
    original = load_checkpoint(tmp_path / "a.pkl")
    save_safetensors(original, tmp_path / "b.safetensors")
    copy = assert_loads(tmp_path / "b.safetensors")
    assert copy.config == original.config
    assert sorted(os.listdir(tmp_path)) == ["a.pkl", "b.safetensors"]


def write_big_checkpoint(path: Path, unused_bytes: int) -> None:
    """A checkpoint whose G holds one storage of that size, as a hole in a sparse file."""
    record = small_record()
    head = dump({key: record[key] for key in ("training_set_kwargs", "D")})[:-1]
    with path.open("wb") as file:
        # The dictionary stays open: G's storage is a literal inside a call.
        file.write(head)
        file.write(b"(\x8c\x01Gctorch.storage\n_load_from_bytes\n")
        file.write(b"\x8e" + struct.pack("<Q", unused_bytes))
        file.seek(unused_bytes, os.SEEK_CUR)
        file.write(b"\x85R\x8c\x05G_ema" + dump(record["G_ema"])[2:-1] + b"u.")


def memory_to_load(path: Path) -> int:
    """Bytes by which a process grows at most while it loads the file."""
    script = (
        "import re, sys, pathlib, synthforge.next3d.checkpoint as c;"
        "status = pathlib.Path('/proc/self/status').read_text;"
        "peak = lambda: int(re.search('VmHWM:\\s*(\\d+) kB', status())[1]);"
        "before = peak();"
        "c.load_checkpoint(sys.argv[1]);"
        "print(peak() - before)"
    )
    run = [sys.executable, "-c", script, path]
    return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_unused_networks_take_no_memory(tmp_path):
    path = tmp_path / "big.pkl"
    write_big_checkpoint(path, 2**31)
    assert memory_to_load(path) < 50e6
    assert_loads(path)
    path.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_used_network_takes_its_size_and_little_more(tmp_path):
    path = tmp_path / "a.pkl"
    weights = {f"w{i}": torch.zeros(1_000_000) for i in range(25)}
    write_checkpoint(path, weights, MASK)
    assert memory_to_load(path) < 1.4 * path.stat().st_size


class Ran:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_nothing_in_a_hostile_file_runs(tmp_path, protocol):
    path, trace = tmp_path / "a.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps({"G_ema": Ran(trace)}, protocol))
    with pytest.raises(
        FileFormatError, match=r"a.pkl .* torch module, but holds (posix|nt)\.mkdir"
    ):
        load_checkpoint(path)
    hostile = pickle.dumps({"G": Ran(trace)}, protocol)[2:-1]
    entries = dump(small_record())[2:-1]
    path.write_bytes(b"\x80\x04" + hostile + b"0" + entries + b".")
    assert_loads(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "torch.load",
        "torch.hub.load",
        "torch.utils.cpp_extension.load",
        "numpy.load",
        "numpy.testing._private.utils.runstring",
        "functools.partial",
        "__main__.MLP",
    ],
)
def test_unknown_names_are_refused_where_they_are_needed(tmp_path, name):
    path = tmp_path / "a.pkl"
    made = Made(name, ("x",))
    path.write_bytes(dump(small_record(others={"D": made})))
    assert_loads(path)
    record = small_record()
    record["G_ema"].args[0]["state"]["_parameters"].mapping["bad"] = made
    path.write_bytes(dump(record))
    with pytest.raises(FileFormatError, match=f"'bad': it should hold .*but holds {name}"):
        load_checkpoint(path)


def test_records_that_are_not_tensors_are_named(tmp_path):
    path = tmp_path / "a.pkl"
    record = small_record()
    record["G_ema"].args[0]["state"]["_parameters"].mapping["bad"] = Made("training.x.Y")
    path.write_bytes(dump(record))
    with pytest.raises(FileFormatError, match=r"'bad': it should hold .* training.x.Y"):
        load_checkpoint(path)


def tensor(size, stride, offset=0, storage=None):
    """A record of a tensor over a storage of 4 numbers."""
    inner = parameter_record(torch.arange(4.0)).args[0]
    args = (storage or inner.args[0], offset, size, stride, False, inner.args[5])
    return Made("torch._utils._rebuild_tensor_v2", args)


@pytest.mark.parametrize(
    "record, message",
    [
        (tensor((5,), (1,)), "storage has 4 elements"),
        (tensor((4,), (1,), offset=1), "storage has 4 elements"),
        (tensor((4,), (1,), offset=-1), "damaged size"),
        (tensor((2**40, 2**40), (0, 0)), "damaged shape"),
        (tensor((2**39, 2**39), (0, 0)), "storage has 4 elements"),
        (tensor((100,), (0,)), "storage has 4 elements"),
        (tensor((2, 2), (1,)), "damaged size"),
        (tensor((0, 2**39, 2**39), (1, 1, 1)), "empty tensor"),
        (tensor((1.5,), (1,)), "damaged shape"),
        (tensor((1,), (1,), storage=3), "storage is not in the file"),
        (Name("torch.FloatStorage"), "should hold a torch tensor, but holds torch.FloatStorage"),
    ],
)
def test_impossible_tensors(tmp_path, record, message):
    path = tmp_path / "a.pkl"
    whole = small_record()
    whole["G_ema"].args[0]["state"]["_parameters"].mapping["bad"] = record
    path.write_bytes(dump(whole))
    with pytest.raises(FileFormatError, match=f"'bad': it .*{message}"):
        load_checkpoint(path)


def test_a_storage_can_not_be_read_without_end(tmp_path):
    path = tmp_path / "a.pkl"
    weight = parameter_record(torch.zeros(200_000))
    storage = Shared(9, weight.args[0].args[0])
    record = small_record()
    entries = record["G_ema"].args[0]["state"]["_parameters"].mapping
    for i in range(2000):
        layout = (0, (200_000,), (1,), False, weight.args[2])
        entries[f"w{i}"] = Made("torch._utils._rebuild_tensor_v2", (storage, *layout))
    path.write_bytes(dump(record))
    with pytest.raises(FileFormatError, match=r"'w\d+': it holds \d+ bytes where \d+ should be"):
        load_checkpoint(path)


def test_modules_that_hold_themselves(tmp_path):
    # A dictionary, memoised, is its own child.
    state = b"}q\x01(X\x08\x00\x00\x00_modulesh\x01X\x01\x00\x00\x00ah\x02u"
    call = b"ctraining.x\nY\n)\x81q\x02" + state + b"b"
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02}X\x05\x00\x00\x00G_ema" + call + b"s.")
    with pytest.raises(FileFormatError, match=r"a.pkl holds a generator without its uv_face_mask"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "web page"),
        (b"PK\x03\x04", "zip archive"),
        (dump({"G": 1}), "holds no generator G_ema; it holds G"),
        (dump([1]), "should hold a generator, but holds list"),
        (dump({"G_ema": Made("training.x.Y")}), "a torch module, but holds training.x.Y"),
        (b"\x80\x09N.", "pickle of protocol 9"),
        (b"\x80\x04" + b"N0" * 550_000, "more than 1000000 pickle opcodes"),
        (b"\x80\x04\x8a\xff" + b"\x01" * 255 + b".", "an integer of 255 bytes"),
        (b"\x80\x04\x8e" + b"\xff" * 8 + b"N.", "damaged at byte 2"),
        (b"I" + b"9" * 5000 + b"\n.", "an integer of 5000 digits"),
        (b"\x80\x05\x97.", "opcode NEXT_BUFFER, which is not allowed"),
        (b"\x80\x02\x82\x01.", "opcode EXT1, which is not allowed"),
    ],
)
def test_other_files_in_its_place(tmp_path, content, message):
    path = tmp_path / "next3d_ffhq_512.pkl"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"next3d_ffhq_512.pkl .*{message}.*mannequin"):
        load_checkpoint(path)


def test_settings_that_can_not_be_used(tmp_path):
    path = tmp_path / "a.pkl"
    for settings, message in [
        ({"channel_base": "large"}, "channel_base='large'"),
        ({"channel_max": 10**9}, "channel_max=1000000000"),
        ({"rendering_kwargs": {"clamp_mode": "relu"}}, "clamp_mode='relu' is not supported"),
        ({"rendering_kwargs": {"ray_start": 9}}, "ray_start"),
    ]:
        write_checkpoint(path, TENSORS, MASK, **settings)
        with pytest.raises(FileFormatError, match=message):
            load_checkpoint(path)
    write_checkpoint(path, TENSORS, MASK[..., :128])
    with pytest.raises(FileFormatError, match=r"shape \[1, 1, 256, 128\], expected"):
        load_checkpoint(path)


def test_a_safetensors_copy_under_another_name(tmp_path):
    write_checkpoint(tmp_path / "a.pkl", TENSORS, MASK)
    save_safetensors(load_checkpoint(tmp_path / "a.pkl"), tmp_path / "b.pkl")
    assert_loads(tmp_path / "b.pkl")


@pytest.mark.skipif(os.umask(os.umask(0)) == 0o077, reason="the umask asks for that mode")
def test_copies_have_the_umasks_mode(tmp_path):
    write_checkpoint(tmp_path / "a.pkl", TENSORS, MASK)
    save_safetensors(load_checkpoint(tmp_path / "a.pkl"), tmp_path / "b.safetensors")
    modes = {(tmp_path / name).stat().st_mode for name in ("a.pkl", "b.safetensors")}
    assert len(modes) == 1


def test_a_copy_of_an_earlier_version(tmp_path):
    """With settings that nothing uses any more."""
    write_checkpoint(tmp_path / "a.pkl", TENSORS, MASK)
    checkpoint = load_checkpoint(tmp_path / "a.pkl")
    config = dataclasses.asdict(checkpoint.config) | {"avg_camera_pivot": [0, 0, 0.2]}
    metadata = {"format": "synthforge next3d 1", "config": json.dumps(config), "attributes": "{}"}
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    tensors["synthforge.uv_face_mask"] = MASK
    save_file(tensors, tmp_path / "b.safetensors", metadata=metadata)
    assert assert_loads(tmp_path / "b.safetensors").config == checkpoint.config


def test_masks_outside_their_range(tmp_path):
    for value in (torch.nan, 1.5, -0.1):
        mask = MASK.clone()
        mask[..., 3, 3] = value
        write_checkpoint(tmp_path / "a.pkl", TENSORS, mask)
        with pytest.raises(FileFormatError, match="uv_face_mask with values outside 0 to 1"):
            load_checkpoint(tmp_path / "a.pkl")


def test_a_missing_file(tmp_path):
    for name in ("a.pkl", "a.safetensors"):
        with pytest.raises(FileNotFoundError, match=f"{name} does not exist.*https://"):
            load_checkpoint(tmp_path / name)


def test_foreign_and_damaged_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(FileFormatError, match=r"a.safetensors is not a Next3D copy of ours"):
        load_checkpoint(path)
    write_checkpoint(tmp_path / "a.pkl", TENSORS, MASK)
    save_safetensors(load_checkpoint(tmp_path / "a.pkl"), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(60):
        data = bytearray(whole)
        if trial % 3 == 0:
            data = data[: rng.integers(len(data))]
        else:
            data[int(rng.integers(0, 3000))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        loads_or_is_refused(path)


def fuzz(tmp_path: Path, trials: int, seed: int) -> None:
    path = tmp_path / "a.pkl"
    others = {"D": discriminator(torch.randn(5))}
    write_checkpoint(path, TENSORS, MASK, others=others)
    loads_whole = path.read_bytes()
    load_checkpoint(path)
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        path.write_bytes(mutated(loads_whole, rng))
        loads_or_is_refused(path)


def test_mutated_files(tmp_path):
    fuzz(tmp_path, trials=100, seed=0)


@pytest.mark.slow
def test_many_mutated_files(tmp_path):
    fuzz(tmp_path, trials=1000, seed=1)


def test_random_bytes(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.pkl"
    for codec in ("raw_unicode_escape", "unicode_escape"):
        codecs.lookup(codec)  # its import is Python's own
    for _ in range(100):
        path.write_bytes(b"\x80\x04" + rng.bytes(int(rng.integers(1, 300))))
        loads_or_is_refused(path)


def test_convert_checkpoint(tmp_path):
    source, target = tmp_path / "a.pkl", tmp_path / "b.safetensors"
    write_checkpoint(source, TENSORS, MASK)
    done = CliRunner().invoke(convert_checkpoint, [str(source), str(target)])
    assert done.exit_code == 0 and "Wrote 9 tensors" in done.output
    assert_loads(target)


@pytest.mark.parametrize(
    "source, target, message",
    [
        ("missing.pkl", "b.safetensors", "does not exist"),
        ("bad.pkl", "b.safetensors", "damaged at byte"),
        ("a.pkl", "b.pkl", "should end in .safetensors"),
        ("a.pkl", "none/b.safetensors", "create it first"),
    ],
)
def test_convert_checkpoint_tells_bad_input_in_one_line(tmp_path, source, target, message):
    write_checkpoint(tmp_path / "a.pkl", TENSORS, MASK)
    (tmp_path / "bad.pkl").write_bytes(b"not a pickle")
    before = sorted(os.listdir(tmp_path))
    done = CliRunner().invoke(convert_checkpoint, [str(tmp_path / source), str(tmp_path / target)])
    assert done.exit_code == 2
    assert message in done.output and len(done.output.strip().splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == before
