"""Small checkpoints, and loading them with an eye on what that runs."""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from support_next3d_files import (
    RENDERING_KWARGS,
    checkpoint_record,
)

from flame_pytorch.errors import FileFormatError
from synthforge.next3d.checkpoint import load_checkpoint

MASK = torch.linspace(0, 1, 256 * 256).view(1, 1, 256, 256)


TENSORS = {
    "faces": torch.arange(12).view(1, 4, 3),
    "dataset_label_std": torch.full((25,), 0.1),
    "backbone.synthesis.b4.const": torch.randn(4, 2, 2),
    "backbone.synthesis.b4.conv1.weight": torch.randn(4, 4, 3, 3),
    "backbone.synthesis.b4.conv1.noise_strength": torch.tensor(0.5),
    "backbone.mapping.w_avg": torch.randn(8).half(),
    "superresolution.block0.conv1.weight": torch.randn(4, 3, 3, 3).to(
        memory_format=torch.channels_last
    ),
    "decoder.net.0.weight": torch.randn(2, 10)[:, 3:7],
    "decoder.net.2.bias": torch.randn(3),
}


def assert_loads(path, tensors=TENSORS):
    checkpoint = load_checkpoint(path)
    assert checkpoint.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert checkpoint.tensors[name].dtype == tensor.dtype
        assert torch.equal(checkpoint.tensors[name], tensor), name
    assert torch.equal(checkpoint.uv_face_mask, MASK)
    return checkpoint


def small_record(**changes):
    return checkpoint_record(
        TENSORS, MASK, {"channel_base": 1024, "channel_max": 32}, 32, RENDERING_KWARGS, **changes
    )


EVENTS = {"exec", "compile", "import", "os.system", "subprocess.Popen", "pickle.find_class"}


_watching: list[list[str]] = []


def _audit(event, args):
    if _watching and event in EVENTS:
        _watching[-1].append(f"{event} {args}")


sys.addaudithook(_audit)


def loads_or_is_refused(path: Path) -> None:
    """Loads the file, or raises the one error; runs and imports nothing, and soon ends."""
    events: list[str] = []
    start = time.process_time()
    _watching.append(events)
    try:
        load_checkpoint(path)
    except FileFormatError as error:
        assert str(path) in str(error) and "mannequin" in str(error)
    finally:
        _watching.pop()
    assert not events
    assert time.process_time() - start < 10


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    # Half of all changes go to the opcodes, which are a small part of the file.
    end = len(data) if rng.random() < 0.5 else 6000
    position = int(rng.integers(min(end, len(data))))
    match rng.integers(5):
        case 0:
            for _ in range(rng.integers(1, 4)):
                position = int(rng.integers(min(end, len(data))))
                changed[position] ^= 1 << int(rng.integers(8))
        case 1:
            changed = changed[:position]
        case 2:
            length = int(rng.integers(1, 400))
            source = int(rng.integers(len(data)))
            changed[position:position] = changed[source : source + length]
        case 3:
            del changed[position : position + int(rng.integers(1, 400))]
        case 4:
            changed[position : position + 8] = rng.bytes(8)
    return bytes(changed)
