"""Which of the user's licensed files are there, and where to get those that are not."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthforge.errors import UserError

MODEL, PRETRAINED = "model", "pretrained_models"
# Names a folder that holds `model` and `pretrained_models`.
HOME_VARIABLE = "SYNTHFORGE_HOME"
_PROJECT = Path(__file__).resolve().parents[2]

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

# Any of these makes a folder one that the user may name. The alignment that
# train_alignment_mlp.py trains for the built-in head needs no other file.
_MODEL_FILES = (
    *_FLAME_MODELS,
    *(_EMBEDDING, _STATIC_EMBEDDING, _CONTOUR_EMBEDDING, _MASKS, _SEG_TEXTURE),
)
_PRETRAINED_FILES = (*_CHECKPOINTS, "alignment_mannequin.safetensors")
_HOMES = dict.fromkeys((*_MODEL_FILES, _TEXTURE), MODEL) | dict.fromkeys(
    (*_CHECKPOINTS, _ALIGNMENT), PRETRAINED
)

# Files that may be meant, if they have no known name.
_SUFFIXES = (".pkl", ".npy", ".npz", ".pth", ".pt", ".zip")
_MAX_ENTRIES = 1000
_MAX_NAMED = 6

_FLAME_SITE = "https://flame.is.tue.mpg.de (licence required)"
_NEXT3D_SITE = "the Next3D project page, https://mrtornado24.github.io/Next3D"
_EMBEDDING_SITE = (
    "DECA, https://github.com/yfeng95/DECA (in data/), or RingNet, "
    "https://github.com/soubhiksanyal/RingNet (in flame_model/); FLAME's page does not have it"
)


class AssetError(UserError, ValueError):
    """Files that a run needs are not there; the message names each and where to get it."""


@dataclass(frozen=True)
class Assets:
    """The files of the Next3D pipeline, as found; None where there is none.

    Required, and told in `missing` when absent, a line for each:
        checkpoint: the generator.
        flame_model: the head model.
        static_embedding: its 68 landmarks; `contour_embedding` too, unless the former holds both.
        masks, or seg_texture with texture: without either, no region can be labelled.

    Optional:
        texture: UV labels; the checkpoint brings the generator's own UVs.
        seg_texture: the painted segmentation, instead of the regions told from masks.
        alignment: the published alignment, instead of its figures, which are built in.

    astray: files that may be meant, under another name or in another place, a line for each.
    unfulfilled: folders that the user named though they hold nothing of use, a line for each.
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
    astray: tuple[str, ...] = ()
    unfulfilled: tuple[str, ...] = ()

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
    return any(path.suffix.lower() in (*_SUFFIXES, ".safetensors") for path in found)


def find_assets(model_dir: Path | None = None, pretrained_dir: Path | None = None) -> Assets:
    """Looks for the official file names in the two folders.

    A folder that is not named is default_folder's. One that is named is meant to be used: see
    `Assets.unfulfilled`.
    """
    named = [folder for folder in (model_dir, pretrained_dir) if folder is not None]
    model_dir = model_dir or default_folder(MODEL)
    pretrained_dir = pretrained_dir or default_folder(PRETRAINED)
    checkpoint = _first(pretrained_dir, *_CHECKPOINTS)
    flame_model = _first(model_dir, *_FLAME_MODELS)
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
            f"{_EMBEDDING_SITE}"
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
    expected = (model_dir, _MODEL_FILES), (pretrained_dir, _PRETRAINED_FILES)
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
        astray=tuple(_astray(model_dir, pretrained_dir)) if missing else (),
        unfulfilled=tuple(
            f"{folder} " + (_none_of(names) if folder.is_dir() else "is not a folder")
            for folder, names in expected
            if folder in named and _first(folder, *names) is None
        ),
    )


def _none_of(names: tuple[str, ...]) -> str:
    return f"holds none of {', '.join(names)}"


def _first(directory: Path, *names: str) -> Path | None:
    return next((directory / name for name in names if (directory / name).is_file()), None)


def _astray(model_dir: Path, pretrained_dir: Path) -> Iterator[str]:
    """Files in the two folders, or one level below, that are not where they would be used."""
    folders = {MODEL: model_dir, PRETRAINED: pretrained_dir}
    spellings = {name.lower(): folders[home] / name for name, home in _HOMES.items()}
    for path in _candidates(model_dir, pretrained_dir):
        wanted = spellings.get(path.name.lower())
        if wanted is None:
            yield f"{path}: not a name that is known"
        elif path != wanted:
            verb = "rename" if path.parent == wanted.parent else "move"
            yield f"{path}: {verb} it to {wanted}"


def _candidates(*folders: Path) -> Iterator[Path]:
    for folder in dict.fromkeys(folders):
        for path in _entries(folder):
            inside = _entries(path) if path.is_dir() else [path]
            yield from (
                inner for inner in inside if inner.suffix.lower() in _SUFFIXES and inner.is_file()
            )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(itertools.islice(folder.iterdir(), _MAX_ENTRIES))
    except OSError:  # not there, or not ours to read
        return []


def require_all(assets: Assets) -> None:
    """Raises AssetError naming each missing file, and those that may be meant."""
    if assets.missing:
        raise AssetError(
            "--generator next3d needs files that are not there: "
            + "; ".join(assets.missing)
            + _meant(assets)
            + ". Bring them, or use --generator mannequin."
        )


def _meant(assets: Assets) -> str:
    if not assets.astray:
        return ""
    shown = "; ".join(assets.astray[:_MAX_NAMED])
    more = len(assets.astray) - _MAX_NAMED
    return f". These may be meant: {shown}" + (f"; and {more} more" if more > 0 else "")


def all_there(assets: Assets) -> bool:
    """Whether all required files are there; False if none are.

    Raises AssetError naming each missing file if only some are there, the folders if the user
    named some for nothing, and files that may be meant under another name.
    """
    if assets.any_required:
        require_all(assets)
        return True
    if assets.unfulfilled:
        raise AssetError(
            "; ".join(assets.unfulfilled)
            + _meant(assets)
            + ". Correct the folder, or use --generator mannequin."
        )
    if assets.astray:
        raise AssetError(
            "no file has the name under which it would be used"
            + _meant(assets)
            + ". Known names are "
            + ", ".join(_HOMES)
            + ". Rename or move what is meant, or use --generator mannequin."
        )
    return False
