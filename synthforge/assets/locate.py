"""Which of the user's licensed files are there, and where to get those that are not."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synthforge.errors import UserError

MODEL, PRETRAINED = "model", "pretrained_models"
# Names a folder that holds `model` and `pretrained_models`.
HOME_VARIABLE = "SYNTHFORGE_HOME"
_PROJECT = Path(__file__).resolve().parents[2]
_MODEL_SUFFIXES = (".pkl", ".npy", ".npz", ".pth", ".safetensors")

# In order of preference.
_CHECKPOINTS = ("next3d_ffhq_512.safetensors", "next3d_ffhq_512.pkl")
_FLAME_MODELS = ("generic_model.pkl", "flame2023_Open.pkl", "flame2023.pkl", "flame2020.pkl")
_EMBEDDING = "landmark_embedding.npy"
_STATIC_EMBEDDING = "flame_static_embedding.pkl"
_CONTOUR_EMBEDDING = "flame_dynamic_embedding.npy"
_MASKS = "FLAME_masks.pkl"
_TEXTURE = "FLAME_texture.npz"
_SEG_TEXTURE = "flame_seg_tex.png"
_ALIGNMENT = "fixMapMLP01.pth"

_FLAME_SITE = "https://flame.is.tue.mpg.de (licence required)"
_NEXT3D_SITE = "the Next3D project page, https://mrtornado24.github.io/Next3D"


class AssetError(UserError, ValueError):
    """Files that a run needs are not there; the message names each and where to get it."""


@dataclass(frozen=True)
class Assets:
    """The files of the Next3D pipeline, as found; None where there is none.

    Required, and told in `missing` when absent, one line a file:
        checkpoint: the generator.
        flame_model: the head model.
        static_embedding: its 68 landmarks; `contour_embedding` too, unless the former holds both.
        masks, or seg_texture with texture: without either, no region can be labelled.

    Optional:
        texture: UV labels; the checkpoint brings the generator's own UVs.
        seg_texture: the painted segmentation, instead of the regions told from masks.
        alignment: the published alignment; its figures are built in.
    """

    checkpoint: Path | None
    flame_model: Path | None
    static_embedding: Path | None
    contour_embedding: Path | None
    masks: Path | None
    texture: Path | None
    seg_texture: Path | None
    alignment: Path | None
    missing: tuple[str, ...]

    @property
    def any_required(self) -> bool:
        """Whether the user has begun to bring files."""
        required = (self.checkpoint, self.flame_model, self.static_embedding, self.masks)
        return any(path is not None for path in (*required, self.seg_texture))


def default_folder(name: str) -> Path:
    """Where the folder `name`, MODEL or PRETRAINED, is when the user has not named it.

    Looked for in the current directory, in $SYNTHFORGE_HOME and beside a clone's packages: the
    first that holds files of models; otherwise the first that is there; otherwise the current
    directory's.
    """
    places = [Path(name)]
    if home := os.environ.get(HOME_VARIABLE):
        places.append(Path(home) / name)
    if (_PROJECT / "pyproject.toml").is_file():
        places.append(_PROJECT / name)
    there = [place for place in places if place.is_dir()]
    filled = [place for place in there if _holds_models(place)]
    return (filled + there + places)[0]


def _holds_models(folder: Path) -> bool:
    """Whether the folder or one in it, as archives unpack, holds a file of a model's kind."""
    found = itertools.chain(folder.glob("*"), folder.glob("*/*"))
    return any(path.suffix in _MODEL_SUFFIXES for path in found)


def find_assets(
    model_dir: Path | None = None,
    pretrained_dir: Path | None = None,
    checkpoint: Path | None = None,
    flame_model: Path | None = None,
) -> Assets:
    """Looks for the official file names in the two folders; given paths are taken instead.

    A folder that is not named is default_folder's.
    Raises AssetError if a given path does not exist.
    """
    model_dir = model_dir or default_folder(MODEL)
    pretrained_dir = pretrained_dir or default_folder(PRETRAINED)
    for option, given in (("checkpoint", checkpoint), ("flame_model", flame_model)):
        if given is not None and not given.is_file():
            raise AssetError(f"--{option} {given} does not exist")
    checkpoint = checkpoint or _first(pretrained_dir, *_CHECKPOINTS)
    flame_model = flame_model or _first(model_dir, *_FLAME_MODELS)
    both = _first(model_dir, _EMBEDDING)
    static = both or _first(model_dir, _STATIC_EMBEDDING)
    contour = None if both else _first(model_dir, _CONTOUR_EMBEDDING)
    masks = _first(model_dir, _MASKS)
    texture, seg_texture = _first(model_dir, _TEXTURE), _first(model_dir, _SEG_TEXTURE)

    missing = []
    if checkpoint is None:
        missing.append(f"{pretrained_dir / _CHECKPOINTS[-1]}: from {_NEXT3D_SITE}")
    if flame_model is None:
        names = " or ".join(_FLAME_MODELS[1:])
        missing.append(f"{model_dir / _FLAME_MODELS[0]} (or {names}): from {_FLAME_SITE}")
    if static is None:
        missing.append(
            f"{model_dir / _EMBEDDING} (or {_STATIC_EMBEDDING} with {_CONTOUR_EMBEDDING}): from "
            f"{_FLAME_SITE}, or as it comes with DECA"
        )
    elif both is None and contour is None:
        missing.append(f"{model_dir / _CONTOUR_EMBEDDING}: from where {_STATIC_EMBEDDING} came")
    if masks is None and seg_texture is None:
        missing.append(f'{model_dir / _MASKS}: "FLAME Vertex Masks" from {_FLAME_SITE}')
    elif masks is None and texture is None:
        missing.append(
            f"{model_dir / _TEXTURE} (for {_SEG_TEXTURE}; or {_MASKS} instead of both): "
            f'"FLAME texture space" from {_FLAME_SITE}'
        )
    return Assets(
        checkpoint=checkpoint,
        flame_model=flame_model,
        static_embedding=static,
        contour_embedding=contour,
        masks=masks,
        texture=texture,
        seg_texture=seg_texture,
        alignment=_first(pretrained_dir, _ALIGNMENT),
        missing=tuple(missing),
    )


def _first(directory: Path, *names: str) -> Path | None:
    return next((directory / name for name in names if (directory / name).is_file()), None)


def require_all(assets: Assets) -> None:
    """Raises AssetError naming each missing file."""
    if assets.missing:
        raise AssetError(
            "--generator next3d needs files that are not there: "
            + "; ".join(assets.missing)
            + ". Bring them, or use --generator mannequin."
        )


def choose_generator(assets: Assets) -> Literal["next3d", "mannequin"]:
    """Next3D if all its files are there, the built-in head if none are.

    Raises AssetError naming each missing file if only some are there.
    """
    if not assets.any_required:
        return "mannequin"
    require_all(assets)
    return "next3d"
