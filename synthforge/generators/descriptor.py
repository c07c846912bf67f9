"""What the program knows of a generator before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthforge.config import AssetPaths, PartsConfig
from synthforge.errors import ConfigError
from synthforge.grid import Face, Grid
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
        self._check(overrides)
        if any(name in overrides for name in POSE):
            overrides = {"pose_limit": None, **overrides}
        if "fov_deg" in overrides:
            overrides = {"face_size": None, **overrides}
        sampling = replace(self.sampling, **overrides)
        if sampling.grid is not None:
            self._check_grid(sampling.grid)
        return sampling

    def _check(self, overrides: Mapping[str, Any]) -> None:
        way_out = "leave it out or give --generator mannequin"
        for name in ATTRIBUTES if not self.has_attributes else ():
            if name in overrides:
                raise ConfigError(
                    f"--{option_name(name)} is an attribute of the built-in head's people, which "
                    f"{self.title}'s lack; {way_out}"
                )
        for name in FRAMING if not self.has_framing else ():
            if name in overrides:
                raise ConfigError(
                    f"--{name} moves the face in the image, and {self.title} draws aligned crops "
                    f"only; {way_out}"
                )
        like = overrides.get("like")
        if like is not None and like.generator != self.name:
            raise ConfigError(
                f"--like holds faces of the head of --generator {like.generator}, and this run is "
                f"of {self.title}; give --generator {like.generator}, or a file of `synthforge fit "
                f"--generator {self.name}`"
            )
        for names, does in ((WEAR, "dresses"), (HAIR, "is of")):
            for name in names if not self.has_attributes else ():
                if overrides.get(name):
                    raise ConfigError(f"--{name} {does} the built-in head; {way_out}")

    def _check_grid(self, grid: Grid) -> None:
        if grid.lights is not None and not self.has_lights:
            raise ConfigError(
                f"the recipe's grid has lights, which {self.title} draws with its people; leave "
                "lights out or give --generator mannequin"
            )
        for face in grid.listed_expressions:
            if self.check_face is None:
                raise ConfigError(
                    f"the recipe's grid lists expressions, which {self.title} has no names for; "
                    "give their number or --generator mannequin"
                )
            self.check_face(face)
