"""The sliders of the page, and the view that they say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import viser

from synthforge.generators.descriptor import Descriptor
from synthforge.mannequin.head.faces import FACES
from synthforge.preview.view import LIGHTS, View
from synthforge.sampling_config import AGES, HAIR, MAX_FOV_DEG, WEAR

# Name on the page -> face action.
ACTIONS = {
    "Smile": "mouthSmile",
    "Jaw open": "jawOpen",
    "Pucker": "mouthPucker",
    "Frown": "mouthFrown",
    "Brows up": "browInnerUp",
    "Brows down": "browDown",
    "Blink left": "eyeBlinkLeft",
    "Blink right": "eyeBlinkRight",
    "Puffed cheeks": "cheekPuff",
    "Tongue out": "tongueOut",
}
# Name on the page -> field of the view.
_FIELDS = {
    "Seed": "seed", "Light": "light", "Age": "age", "Sex": "sex", "Weight": "weight",
    "African": "african", "Asian": "asian", "Face": "face", "Jaw": "jaw",
    "Camera yaw": "yaw", "Camera pitch": "pitch", "Head yaw": "head_yaw",
    "Head pitch": "head_pitch", "Head roll": "head_roll", "Field of view": "fov",
    "Right": "offset_x", "Down": "offset_y",
}  # fmt: skip
_HAIR = {"Hair": "hair", "Hair colour": "hair_color"}
_ANY_HAIR = "by the seed"


class Inputs:
    """handles: viser's, by their names on the page; what the generator lacks is left out."""

    def __init__(self, gui: viser.GuiApi, known: Descriptor) -> None:
        self.handles: dict[str, viser.GuiInputHandle[Any]] = {}
        self._gui = gui
        first = View()
        with gui.add_folder("Person"):
            self.handles["Seed"] = gui.add_number("Seed", first.seed, min=0, step=1)
            if known.has_lights:
                self._slide("Light", 0, LIGHTS - 1, first.light, step=1)
            if known.has_attributes:
                self._slide("Age", *AGES, first.age, "years", 1)
                self._slide("Sex", 0, 1, first.sex, "0 is female, 1 is male")
                self._slide("Weight", 0, 1, first.weight, "for people of that age and sex")
                self._slide("African", 0, 1, first.african, "share of ancestry")
                self._slide("Asian", 0, 1, first.asian, "share; the rest is Caucasian")
        if known.has_attributes:
            with gui.add_folder("Hair and what is worn"):
                for name, field in _HAIR.items():
                    named = (_ANY_HAIR, *(text.replace("_", " ") for text in HAIR[field]))
                    self.handles[name] = gui.add_dropdown(name, named)
                for name in WEAR:
                    self._check(name.capitalize())
        with gui.add_folder("Face"):
            if known.check_face is not None:
                self.handles["Face"] = gui.add_dropdown("Face", tuple(FACES))
                for name in ACTIONS:
                    self._slide(name, 0, 1, 0, "0: as in the face above")
                self._check("Set the gaze")
                self._slide("Gaze left", -1, 1, 0, "to the subject's left")
                self._slide("Gaze up", -1, 1, 0)
            else:
                self._slide("Jaw", 0, 0.5, first.jaw, "radians")
        with gui.add_folder("Pose and camera, radians"):
            turn = math.floor(50 * math.pi) / 100
            self._slide("Head yaw", -turn, turn, first.head_yaw, "to the subject's left")
            self._slide("Head pitch", -turn, turn, first.head_pitch, "down")
            self._slide("Head roll", -turn, turn, first.head_roll, "to the subject's right")
            self._slide("Camera yaw", -turn, turn, first.yaw, "to the subject's left")
            self._slide("Camera pitch", -turn, turn, first.pitch, "under the head")
            self._slide("Field of view", 10, MAX_FOV_DEG // 2, first.fov, "degrees, diagonal", 0.5)
        if known.has_framing:
            with gui.add_folder("Place in the image, image widths"):
                self._check("Set the size", "instead of the field of view")
                self._slide("Face size", 0.1, 1, 0.48, "larger side of brows to chin")
                self._slide("Right", -0.5, 0.5, first.offset_x, "from the image's centre")
                self._slide("Down", -0.5, 0.5, first.offset_y, "from the image's centre")

    def _slide(
        self, name: str, low: float, high: float, start: float, hint: str = "", step: float = 0.01
    ) -> None:
        kind: Callable[[float], float] = type(step)
        self.handles[name] = self._gui.add_slider(
            *(name, kind(low), kind(high), step, kind(start)), hint=hint or None
        )

    def _check(self, name: str, hint: str | None = None) -> None:
        self.handles[name] = self._gui.add_checkbox(name, False, hint=hint)

    @property
    def view(self) -> View:
        """What the sliders say."""
        value = {name: handle.value for name, handle in self.handles.items()}
        gaze = value.get("Gaze left", 0.0), value.get("Gaze up", 0.0)
        hair = {
            field: value[name].replace(" ", "_")
            for name, field in _HAIR.items()
            if value.get(name, _ANY_HAIR) != _ANY_HAIR
        }
        return View(
            **{field: value[name] for name, field in _FIELDS.items() if name in value},
            **hair,
            actions={action: value[name] for name, action in ACTIONS.items() if name in value},
            worn=tuple(name for name in WEAR if value.get(name.capitalize())),
            gaze=gaze if value.get("Set the gaze") else None,
            face_size=value["Face size"] if value.get("Set the size") else None,
        )
