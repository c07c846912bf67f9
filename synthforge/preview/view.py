"""What the sliders say, as a recipe."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synthforge.config import PartsConfig
from synthforge.generators.descriptor import Descriptor
from synthforge.mannequin.head.faces import FACES
from synthforge.sampling import SampleId
from synthforge.sampling_config import HAIR, WEAR

# That a preview chooses from; each seed has its own.
LIGHTS = 16
_FILE = "preview.toml"


@dataclass(frozen=True)
class View:
    """One sample of the preview. Units and signs are those of the options of the same names.

    light: number of the light, 0 to LIGHTS - 1.
    african, asian: shares of ancestry; asian gives way where they exceed 1. The rest is caucasian.
    face: a name; actions: activations of face actions on top of it.
    hair, hair_color: names of HAIR; None: by the seed.
    worn: names of WEAR; which glasses or headwear, say, depends on the seed.
    face_size: instead of fov; None: fov counts.
    gaze: where the eyes look, to the subject's left and up, -1 to 1; None: as people do.
    """

    seed: int = 0
    light: int = 0
    age: float = 36
    sex: float = 0
    weight: float = 0.5
    african: float = 0
    asian: float = 0
    face: str = "neutral"
    actions: Mapping[str, float] = field(default_factory=dict)
    gaze: tuple[float, float] | None = None
    hair: str | None = None
    hair_color: str | None = None
    worn: tuple[str, ...] = ()
    jaw: float = 0
    yaw: float = 0
    pitch: float = 0
    head_yaw: float = 0
    head_pitch: float = 0
    head_roll: float = 0
    fov: float = 23
    face_size: float | None = None
    offset_x: float = 0
    offset_y: float = 0.05

    def recipe(self, known: Descriptor) -> str:
        """TOML that draws it, of what the generator has; for `sample_id`."""
        names = ["yaw", "pitch", "head_yaw", "head_pitch", "head_roll"]
        names += ["fov"] if self.face_size is None or not known.has_framing else ["face_size"]
        names += ["offset_x", "offset_y"] if known.has_framing else []
        sample = {name: getattr(self, name) for name in names}
        if known.has_attributes:
            sample |= {name: getattr(self, name) for name in ("age", "sex", "weight", "african")}
            sample["asian"] = min(self.asian, 1 - self.african)
            sample |= {name: float(name in self.worn) for name in WEAR}
            hair = {name: getattr(self, name) for name in HAIR}
            sample |= {name: chosen for name, chosen in hair.items() if chosen is not None}
        if known.check_face is None:
            sample["jaw"] = self.jaw
        lines = ["[sample]", *(f"{name} = {value!r}" for name, value in sample.items())]
        if known.check_face is not None:
            lines += ["", "[grid]", "identities = 1", f"expressions = [{self._face()}]"]
            lines += [f"lights = {LIGHTS}"] if known.has_lights else []
        return "\n".join([*lines, ""])

    def sample_id(self, known: Descriptor) -> SampleId:
        """Which sample of the recipe it is."""
        return SampleId(self.seed, self.light if known.has_lights else 0)

    def command(self, known: Descriptor, parts: PartsConfig) -> str:
        """The command line that draws it from its recipe, saved as preview.toml."""
        id = self.sample_id(known)
        words = ["synthforge", "generate", "--output_dir", "face", "--recipe", _FILE]
        words += ["--num_images", "1", "--seed", str(id.seed), "--start_index", str(id.index)]
        words += ["--generator", known.name]
        folders: dict[str, Path | None] = vars(parts.assets)
        for name, path in folders.items():
            words += [f"--{name}", str(path)] if path is not None else []
        return shlex.join(words)

    def _face(self) -> str:
        """Its entry in a grid's expressions."""
        moved = {name: amount for name, amount in self.actions.items() if amount}
        if self.gaze is not None:
            left, up = self.gaze
            moved |= {
                "eyeLookOutLeft": max(left, 0.0),
                "eyeLookInRight": max(left, 0.0),
                "eyeLookInLeft": max(-left, 0.0),
                "eyeLookOutRight": max(-left, 0.0),
                "eyeLookUp": max(up, 0.0),
                "eyeLookDown": max(-up, 0.0),
            }
        if not moved or self.face not in FACES:
            return json.dumps(self.face)
        actions = {**FACES[self.face].actions, **moved}
        return "{" + ", ".join(f"{name} = {amount!r}" for name, amount in actions.items()) + "}"
