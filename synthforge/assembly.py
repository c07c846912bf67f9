"""Puts a run's parts together: head, generator, alignment, landmark detector."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from synthforge.alignment import AlignmentMLP, trained_path
from synthforge.alignment_weights import load_alignment
from synthforge.config import PRECISIONS, PartsConfig
from synthforge.detectors import Detector, build_detector
from synthforge.errors import ConfigError
from synthforge.frames import place_in_generator
from synthforge.generator import Generator
from synthforge.generators.descriptor import Descriptor
from synthforge.generators.known import GENERATORS, pick
from synthforge.head import Head
from synthforge.mesh import Mesh
from synthforge.rasterizer import check_backend
from synthforge.sampling_config import SamplingConfig


@dataclass(frozen=True)
class Rig:
    """Everything that draws and labels samples, on one device.

    parts: what it was built from, with the precision that the device made of None.
    """

    device: torch.device
    head: Head
    generator: Generator
    alignment: AlignmentMLP
    detector: Detector | None
    sampling: SamplingConfig
    parts: PartsConfig = field(default_factory=PartsConfig)

    def align(self, mesh_flame: Mesh) -> Mesh:
        """Heads in metres -> the same heads where they sit in the generator's world."""
        return Mesh(
            self.to_gen(mesh_flame.vertices), self.to_gen(mesh_flame.landmarks), mesh_flame.topology
        )

    def to_gen(self, points_flame: Tensor) -> Tensor:
        """Points of heads [B, N, 3], metres -> where they sit in the generator's world."""
        return self.alignment(place_in_generator(points_flame))


def pick_device(name: str) -> torch.device:
    """ "auto" is the first CUDA device, or the CPU. Raises ConfigError for one that isn't there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"--device {name} was asked for and torch sees {torch.cuda.device_count()} CUDA "
            "devices; use --device auto or cpu"
        )
    return device


def build_rig(parts: PartsConfig, tell: Callable[[str], None] = print) -> Rig:
    """Load or build everything that `parts` asks for.

    The alignment is parts.alignment's, or what train_alignment_mlp.py left in the folder of
    pretrained models, or the published fixMapMLP01.pth there, or the generator's own.

    tell: takes the lines that a user should see, such as which generator was picked.
    Raises ConfigError, AssetError, FileFormatError, AlignmentError, BackendMissingError or
    DetectorError, each with its way out.
    """
    device = pick_device(parts.device)
    asked = parts
    parts = replace(parts, precision=parts.precision or PRECISIONS[device.type])
    check_backend(parts.rasterizer)
    head, generator, alignment = build_parts(parts, device, tell)
    known = GENERATORS[generator.name]
    idle = _without_effect(asked, known)
    if idle:
        tell(f"Without effect on {known.title}: {', '.join(f'--{name}' for name in idle)}")
    weights = parts.alignment
    trained = trained_path(parts.assets.pretrained_dir, generator.name)
    if weights is None and trained.exists():
        weights = trained
        tell(f"Alignment: {trained}, from train_alignment_mlp.py")
    elif weights is None:
        weights = known.published_alignment(parts.assets)
        if weights is not None:
            tell(f"Alignment: {weights}, as published")
    if weights is not None:
        alignment = load_alignment(
            weights, generator, head.fingerprint, force=parts.force_alignment
        ).to(device)
    detector = build_detector(
        parts.detector, device, parts.reject_px, is_aligned=generator.is_aligned
    )
    if detector is None and parts.reject_px is not None:
        raise ConfigError(
            "--reject_px is of a detector, and none looks at these images; give --detector mesh, "
            "or leave it out"
        )
    return Rig(
        device,
        head,
        generator,
        alignment,
        detector,
        known.sampling_with(parts.sampling_overrides),
        parts,
    )


def _without_effect(parts: PartsConfig, known: Descriptor) -> list[str]:
    """Settings that are not their defaults, and that only other generators have."""
    others = [(*other.options, *other.speed_options) for other in GENERATORS.values()]
    return [
        name
        for name in dict.fromkeys(itertools.chain(*others))
        if name not in (*known.options, *known.speed_options)
        and getattr(parts, name) != getattr(PartsConfig, name)
    ]


def check_labels(rig: Rig, extras: Sequence[str], schemes: Sequence[str]) -> None:
    """Raises ConfigError for extras or further keypoints that the rig's head cannot have."""
    missing = [name for name in schemes if name not in rig.head.schemes]
    if missing:
        raise ConfigError(
            f"--keypoints {missing[0]}: there is no free embedding of these points for this head; "
            f"choose from {', '.join(rig.head.schemes) or 'none'}, or give --generator mannequin"
        )
    if "uv" in extras and not rig.head.has_uvs:
        raise ConfigError(
            "--extras uv needs FLAME_texture.npz beside the other files of FLAME: it holds the UV "
            "layout. Bring it from flame.is.tue.mpg.de, or leave uv out"
        )


def build_parts(
    parts: PartsConfig, device: torch.device, tell: Callable[[str], None]
) -> tuple[Head, Generator, AlignmentMLP]:
    """The head and generator that `parts` picks, and the alignment that comes with them."""
    return pick(parts).build(parts, device, tell)
