"""Puts a run's parts together: head, generator, alignment, landmark detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from flame_pytorch import FLAME
from synthforge.alignment import AlignmentMLP, load_alignment, place_in_generator
from synthforge.config import (
    DEFAULT_SAMPLING,
    EXPRESSION_SIZE,
    SHAPE_SIZE,
    ConfigError,
    GenerateConfig,
    SamplingConfig,
)
from synthforge.detectors import Detector, build_detector
from synthforge.generator import Generator
from synthforge.head import Head
from synthforge.mannequin import Mannequin, build_head
from synthforge.mesh import Mesh, Topology
from synthforge.rasterizer import check_backend


@dataclass(frozen=True)
class Rig:
    """Everything that a run needs, on one device."""

    device: torch.device
    head: Head
    generator: Generator
    alignment: AlignmentMLP
    detector: Detector | None
    sampling: SamplingConfig

    def align(self, mesh_flame: Mesh) -> Mesh:
        """Heads in metres -> the same heads where they sit in the generator's world."""
        return Mesh(
            self.alignment(place_in_generator(mesh_flame.vertices)),
            self.alignment(place_in_generator(mesh_flame.landmarks)),
            mesh_flame.topology,
        )


def pick_device(name: str) -> torch.device:
    """ "auto" is the first CUDA device, or the CPU. Raises ConfigError for one that isn't there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"--device {name} is no device; use auto, cpu or cuda:0") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"--device {name} was asked for and torch sees {torch.cuda.device_count()} CUDA "
            "devices; use --device auto or cpu"
        )
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"--device {name} is not supported; use auto, cpu or cuda:0")
    return device


def build_rig(config: GenerateConfig, tell: Callable[[str], None] = print) -> Rig:
    """Load or build everything that `config` asks for.

    tell: takes the lines that a user should see, such as which generator was picked.
    Raises ConfigError, AssetError, AlignmentError or DetectorError, each with its way out.
    """
    device = pick_device(config.device)
    check_backend(config.rasterizer)
    head, generator, alignment = mannequin_parts(device)
    if config.alignment is not None:
        alignment = load_alignment(
            config.alignment, generator, head.fingerprint, force=config.force_alignment
        ).to(device)
    return Rig(
        device,
        head,
        generator,
        alignment,
        build_detector(config.detector, device, tell),
        replace(DEFAULT_SAMPLING[generator.name], **config.sampling_overrides),
    )


def mannequin_parts(device: torch.device) -> tuple[Head, Generator, AlignmentMLP]:
    """The built-in head and renderer. It draws the head where it is placed: no alignment."""
    built = build_head()
    head = Head(
        FLAME.from_arrays(built.model, built.embedding, SHAPE_SIZE, EXPRESSION_SIZE),
        Topology(*map(torch.from_numpy, (built.model.faces, built.uvs, built.uv_faces))),
        torch.from_numpy(built.face_region),
    )
    return head.to(device), Mannequin(device), AlignmentMLP().to(device)
