"""What the program knows of a generator before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthforge.config import AssetPaths, PartsConfig
from synthforge.errors import ConfigError
from synthforge.grid import Face
from synthforge.sampling_config import (
    ATTRIBUTES,
    FRAMING,
    HAIR,
    POSE,
    WEAR,
    SamplingConfig,
    option_name,
)

if TYPE_CHECKING:
    import torch

    from synthforge.alignment import AlignmentMLP
    from synthforge.generator import Generator
    from synthforge.head import Head

# Takes the lines that a user should see.
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Descriptor:
    """A generator and the head that it draws. Modules that hold one import no torch.

    name: as --generator takes it. title: in a sentence.
    is_there: whether all files that it needs are there; raises AssetError where only some are.
    build: the head, the generator and the alignment that comes with them. Raises ConfigError,
        AssetError or FileFormatError, each with its way out.
    sampling: what samples are drawn from by default; sampling_source: where that comes from.
    alignment_sampling: what the alignment is trained on.
    has_attributes: whether its people have an age, a sex, a weight and an ancestry, and wear
        things.
    has_framing: whether the face may lie elsewhere in the image than it was trained to.
    check_face: raises ConfigError unless it knows a face that a recipe lists.
    has_lights: whether its light can be drawn apart from its people.
    expression: what dataset.json says of flame_exp.
    licence_spdx, licence: of the images, as SPDX id and in a sentence.
    options: its own fields of PartsConfig that change samples. speed_options: those that don't.
    one_thread: whether it computes in small pieces, so that a process gains nothing from a second
        thread.
    published_alignment: the user's file of weights that is used before any training.
    """

    name: str
    title: str
    is_there: Callable[[AssetPaths], bool]
    build: Callable[[PartsConfig, torch.device, Tell], tuple[Head, Generator, AlignmentMLP]]
    sampling: SamplingConfig
    sampling_source: str
    alignment_sampling: SamplingConfig
    has_attributes: bool
    expression: Callable[[], Mapping[str, Any]]
    licence_spdx: str
    licence: str
    check_face: Callable[[Face], None] | None = None
    has_lights: bool = False
    has_framing: bool = False
    options: tuple[str, ...] = ()
    speed_options: tuple[str, ...] = ()
    one_thread: bool = False
    published_alignment: Callable[[AssetPaths], Path | None] = lambda _: None

    def sampling_with(self, overrides: Mapping[str, Any]) -> SamplingConfig:
        """`sampling` with fields replaced. Raises ConfigError for what it cannot draw.

        Poses that are given are drawn as they are given, without `pose_limit`, and so is a field of
        view, without `face_size`.
        """
        attributes = [name for name in ATTRIBUTES if name in overrides]
        if attributes and not self.has_attributes:
            raise ConfigError(
                f"--{option_name(attributes[0])} is an attribute of the built-in head's "
                f"people, which {self.title}'s lack; leave it out or give --generator mannequin"
            )
        framing = [name for name in FRAMING if name in overrides]
        if framing and not self.has_framing:
            raise ConfigError(
                f"--{framing[0]} moves the face in the image, and {self.title} draws aligned crops "
                "only; leave it out or give --generator mannequin"
            )
        like = overrides.get("like")
        if like is not None and like.generator != self.name:
            raise ConfigError(
                f"--like holds faces of the head of --generator {like.generator}, and this run is "
                f"of {self.title}; give --generator {like.generator}, or a file of `synthforge fit "
                f"--generator {self.name}`"
            )
        if any(name in overrides for name in POSE):
            overrides = {"pose_limit": None, **overrides}
        if "fov_deg" in overrides:
            overrides = {"face_size": None, **overrides}
        worn = [name for name in WEAR if overrides.get(name)]
        if worn and not self.has_attributes:
            raise ConfigError(
                f"--{worn[0]} dresses the built-in head; leave it out or give --generator mannequin"
            )
        hair = [name for name in HAIR if overrides.get(name)]
        if hair and not self.has_attributes:
            raise ConfigError(
                f"--{hair[0]} is of the built-in head; leave it out or give --generator mannequin"
            )
        sampling = replace(self.sampling, **overrides)
        grid = sampling.grid
        if grid is not None and grid.lights is not None and not self.has_lights:
            raise ConfigError(
                f"the recipe's grid has lights, which {self.title} draws with its people; leave "
                "lights out or give --generator mannequin"
            )
        for face in grid.listed_expressions if grid else ():
            if self.check_face is None:
                raise ConfigError(
                    f"the recipe's grid lists expressions, which {self.title} has no names for; "
                    "give their number or --generator mannequin"
                )
            self.check_face(face)
        return sampling
