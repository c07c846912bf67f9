"""Puts a run's parts together: head, generator, alignment, landmark detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from flame_pytorch import FLAME
from flame_pytorch.errors import FileFormatError
from synthforge.alignment import (
    AlignmentMLP,
    place_in_generator,
    published_alignment,
    trained_path,
)
from synthforge.alignment_weights import load_alignment
from synthforge.assets.locate import (
    MODEL,
    PRETRAINED,
    AssetError,
    Assets,
    choose_generator,
    default_folder,
    find_assets,
    require_all,
)
from synthforge.config import (
    EXPRESSION_SIZE,
    SHAPE_SIZE,
    ConfigError,
    ExtraName,
    PartsConfig,
    SamplingConfig,
    sampling_for,
)
from synthforge.detectors import Detector, build_detector
from synthforge.generator import Generator
from synthforge.head import Head, read_head
from synthforge.mannequin import Mannequin, baked_head
from synthforge.mesh import Mesh, Topology
from synthforge.next3d import Next3D
from synthforge.next3d.generator import Next3DGenerator
from synthforge.next3d.precision import check_precision
from synthforge.rasterizer import check_backend


@dataclass(frozen=True)
class Rig:
    """Everything that draws and labels samples, on one device.

    parts: what it was built from.
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
            self.alignment(place_in_generator(mesh_flame.vertices)),
            self.alignment(place_in_generator(mesh_flame.landmarks)),
            mesh_flame.topology,
        )


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
    check_backend(parts.rasterizer)
    head, generator, alignment = build_parts(parts, device, tell)
    weights = parts.alignment
    trained = trained_path(parts.assets.pretrained_dir, generator.name)
    if weights is None and trained.exists():
        weights = trained
        tell(f"Alignment: {trained}, from train_alignment_mlp.py")
    elif weights is None and generator.name == "next3d":
        weights = find_assets(parts.assets.model_dir, parts.assets.pretrained_dir).alignment
        if weights is not None:
            tell(f"Alignment: {weights}, as published")
    if weights is not None:
        alignment = load_alignment(
            weights, generator, head.fingerprint, force=parts.force_alignment
        ).to(device)
    return Rig(
        device,
        head,
        generator,
        alignment,
        build_detector(parts.detector, device, tell, is_aligned=generator.is_aligned),
        sampling_for(generator.name, parts.sampling_overrides),
        parts,
    )


def check_extras(rig: Rig, extras: Sequence[ExtraName]) -> None:
    """Raises ConfigError for a label that the rig's head cannot have."""
    if "uv" in extras and not rig.head.has_uvs:
        raise ConfigError(
            "--extras uv needs FLAME_texture.npz beside the other files of FLAME: it holds the UV "
            "layout. Bring it from flame.is.tue.mpg.de, or leave uv out"
        )


def build_parts(
    parts: PartsConfig, device: torch.device, tell: Callable[[str], None]
) -> tuple[Head, Generator, AlignmentMLP]:
    """The head and generator that `parts` picks, and the alignment that comes with them."""
    assets = find_assets(parts.assets.model_dir, parts.assets.pretrained_dir)
    name = choose_generator(assets) if parts.generator == "auto" else parts.generator
    if name == "next3d":
        require_all(assets)
        tell(f"Generator: Next3D, {assets.checkpoint}, with FLAME, {assets.flame_model}")
        return next3d_parts(assets, parts, device)
    wanting = ""
    if parts.generator == "auto":
        folders = (parts.assets.pretrained_dir, PRETRAINED), (parts.assets.model_dir, MODEL)
        places = " and ".join(
            str((named or default_folder(name)).absolute()) for named, name in folders
        )
        wanting = f"; for Next3D, put its files into {places}"
    tell(f"Generator: the built-in head{wanting}")
    tell("Building the head ...")
    return mannequin_parts(device)


def mannequin_parts(device: torch.device) -> tuple[Head, Generator, AlignmentMLP]:
    """The built-in head and renderer. It draws the head where it is placed: no alignment."""
    built = baked_head()
    head = Head(
        FLAME.from_arrays(built.model, built.embedding, SHAPE_SIZE, EXPRESSION_SIZE),
        Topology(*map(torch.from_numpy, (built.model.faces, built.uvs, built.uv_faces))),
        torch.from_numpy(built.face_region),
    )
    return head.to(device), Mannequin(device), AlignmentMLP().to(device)


def next3d_parts(
    assets: Assets, parts: PartsConfig, device: torch.device
) -> tuple[Head, Generator, AlignmentMLP]:
    """FLAME and Next3D from the user's files, with the published alignment."""
    assert assets.checkpoint is not None
    try:
        check_precision(parts.precision, device)
    except ValueError as error:
        raise ConfigError(f"--precision {parts.precision}: {error}") from error
    try:
        network = Next3D.load(
            assets.checkpoint, device=device, variant=parts.variant, precision=parts.precision
        )
    except FileFormatError:
        raise
    except ValueError as error:
        raise AssetError(f"{assets.checkpoint} cannot be used: {error}") from error
    if parts.compile:
        network.compile_networks()
    generator = Next3DGenerator(network, parts.truncation_psi, parts.truncation_cutoff)
    return read_head(assets).to(device), generator, published_alignment().to(device)
