"""Next3D with FLAME, from the user's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthforge.alignment_config import NEXT3D_ALIGNMENT_SAMPLING
from synthforge.assets.locate import AssetError, Assets, all_there, find_assets, require_all
from synthforge.config import PRECISIONS, AssetPaths, PartsConfig
from synthforge.errors import ConfigError
from synthforge.generators.descriptor import Descriptor, Tell
from synthforge.sampling_config import NEXT3D_SAMPLING

if TYPE_CHECKING:
    import torch

    from synthforge.alignment import AlignmentMLP
    from synthforge.head import Head
    from synthforge.next3d import Next3DGenerator


def _find(paths: AssetPaths) -> Assets:
    return find_assets(paths.model_dir, paths.pretrained_dir)


def _published(paths: AssetPaths) -> Path | None:
    return _find(paths).alignment


def _build(
    parts: PartsConfig, device: torch.device, tell: Tell
) -> tuple[Head, Next3DGenerator, AlignmentMLP]:
    from flame_pytorch.errors import FileFormatError
    from synthforge.alignment import published_alignment
    from synthforge.head import read_head
    from synthforge.next3d import Next3D, Next3DGenerator
    from synthforge.next3d.precision import check_precision

    assets = _find(parts.assets)
    require_all(assets)
    assert assets.checkpoint is not None
    precision = parts.precision or PRECISIONS[device.type]
    tell(f"Generator: Next3D, {assets.checkpoint}, with FLAME, {assets.flame_model}")
    try:
        check_precision(precision, device)
    except ValueError as error:
        raise ConfigError(f"--precision {precision}: {error}") from error
    try:
        network = Next3D.load(
            assets.checkpoint, device=device, variant=parts.variant, precision=precision
        )
    except FileFormatError:
        raise
    except ValueError as error:
        raise AssetError(f"{assets.checkpoint} cannot be used: {error}") from error
    if parts.compile:
        network.compile_networks()
    generator = Next3DGenerator(network, parts.truncation_psi, parts.truncation_cutoff)
    return read_head(assets).to(device), generator, published_alignment().to(device)


NEXT3D = Descriptor(
    name="next3d",
    title="Next3D",
    is_there=lambda paths: all_there(_find(paths)),
    build=_build,
    sampling=NEXT3D_SAMPLING,
    sampling_source="SynthForge's public code",
    alignment_sampling=NEXT3D_ALIGNMENT_SAMPLING,
    has_attributes=False,
    expression=lambda: {
        "flame_exp": "FLAME's expression coefficients, in standard deviations",
    },
    licence_spdx="LicenseRef-FLAME-Next3D",
    licence="Made with FLAME and Next3D weights: their licences (non-commercial research) govern "
    "these images.",
    options=("truncation_psi", "truncation_cutoff", "variant", "precision"),
    speed_options=("compile",),
    published_alignment=_published,
)
