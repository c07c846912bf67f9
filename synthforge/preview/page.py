"""The page: sliders, the panels of what they say, the head to turn. On viser."""

from __future__ import annotations

import contextlib
import io
import math
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import viser

from synthforge.dataset.sample import Sample
from synthforge.errors import ConfigError, UserError
from synthforge.mannequin.head.faces import FACES
from synthforge.preview.drawing import Coarse, Drawing
from synthforge.preview.panels import Over, panels
from synthforge.preview.view import LIGHTS, View
from synthforge.preview.worker import REST_S, LatestOnly
from synthforge.sampling_config import AGES, MAX_FOV_DEG, WEAR

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
_PANEL_WIDTH = 760
_SKIN = (225, 185, 165)


class LocalServer(viser.ViserServer):
    """A server that no page can have published: viser's own shares it through a public host."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        return None

    @classmethod
    def listening(cls, host: str, port: int) -> LocalServer:
        """Raises ConfigError if it cannot listen there; viser would take another port."""
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(address)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host}, port {port}: {error.strerror}; give another --port or "
                "--host"
            ) from error
        with contextlib.redirect_stdout(io.StringIO()):  # viser's banner
            return cls(host, port, label="SynthForge", verbose=False)


class Page:
    """The page of one drawing. Its handles are viser's.

    image: the panels. status: a line on what is seen. recipe: the command and its recipe.
    sliders, buttons: by their names on the page.
    """

    def __init__(
        self, server: viser.ViserServer, drawing: Drawing, root: Path, rest_s: float = REST_S
    ) -> None:
        self.drawing, self.root = drawing, root
        self.sliders: dict[str, viser.GuiInputHandle[Any]] = {}
        self.buttons: dict[str, viser.GuiButtonHandle] = {}
        self._seen: Sample | None = None
        gui = server.gui
        gui.configure_theme(show_share_button=False, show_logo=False, control_width="large")
        server.scene.set_up_direction("+y")
        server.initial_camera.position = (0.1, 0.05, 0.75)
        server.initial_camera.look_at = (0.0, 0.0, 0.0)
        panel = gui.add_panel()
        with panel.add_tab("Sample"):
            self.image = gui.add_image(np.zeros((512, 1024, 3), np.uint8), format="png")
            self.over = gui.add_dropdown("Over the face", get_args(Over))
            self.status = gui.add_markdown("Drawing ...")
        gui.main_panel.dock_right()
        panel.dock_left()
        panel.set_width(_PANEL_WIDTH)
        self._add_inputs(gui)
        with gui.add_folder("Recipe", expand_by_default=False):
            self.recipe = gui.add_markdown("")
        self._button(gui, "Save the sample", drawing.save_sample)
        self._button(gui, "Save the mesh (GLB)", drawing.save_mesh)
        self._head = server.scene.add_mesh_simple(
            "/head", np.zeros((3, 3), np.float32), np.array([[0, 1, 2]]), color=_SKIN
        )
        self.worker = LatestOnly(self._show_coarse, self._show_full, rest_s)
        self.over.on_update(lambda _: self._show_panels())
        for slider in self.sliders.values():
            slider.on_update(lambda _: self._moved())
        self._moved()

    def _add_inputs(self, gui: viser.GuiApi) -> None:
        known, first = self.drawing.known, View()

        def slide(
            name: str, low: float, high: float, start: float, hint: str = "", step: float = 0.01
        ) -> None:
            kind: Callable[[float], float] = type(step)
            self.sliders[name] = gui.add_slider(
                *(name, kind(low), kind(high), step, kind(start)), hint=hint or None
            )

        with gui.add_folder("Person"):
            self.sliders["Seed"] = gui.add_number("Seed", first.seed, min=0, step=1)
            if known.has_lights:
                slide("Light", 0, LIGHTS - 1, first.light, step=1)
            if known.has_attributes:
                slide("Age", *AGES, first.age, step=1)
                slide("Sex", 0, 1, first.sex, "0 is female, 1 is male")
                slide("Weight", 0, 1, first.weight, "for people of that age and sex")
                slide("African", 0, 1, first.african, "share of ancestry")
                slide("Asian", 0, 1, first.asian, "share of ancestry; the rest is Caucasian")
        if known.has_attributes:
            with gui.add_folder("Worn"):
                for name in WEAR:
                    self.sliders[name.capitalize()] = gui.add_checkbox(name.capitalize(), False)
        with gui.add_folder("Face"):
            if known.check_face is not None:
                self.sliders["Face"] = gui.add_dropdown("Face", tuple(FACES))
                for name in ACTIONS:
                    slide(name, 0, 1, 0, "0: as in the face above")
                self.sliders["Set the gaze"] = gui.add_checkbox("Set the gaze", False)
                slide("Gaze left", -1, 1, 0, "to the subject's left")
                slide("Gaze up", -1, 1, 0)
            else:
                slide("Jaw", 0, 0.5, first.jaw, "radians")
        with gui.add_folder("Pose and camera, radians"):
            turn = math.floor(50 * math.pi) / 100
            slide("Head yaw", -turn, turn, first.head_yaw, "to the subject's left")
            slide("Head pitch", -turn, turn, first.head_pitch, "down")
            slide("Head roll", -turn, turn, first.head_roll, "to the subject's right")
            slide("Camera yaw", -turn, turn, first.yaw, "to the subject's left")
            slide("Camera pitch", -turn, turn, first.pitch, "under the head")
            slide("Field of view", 10, MAX_FOV_DEG // 2, first.fov, "degrees, diagonal", 0.5)

    @property
    def view(self) -> View:
        """What the sliders say."""
        value = {name: slider.value for name, slider in self.sliders.items()}
        gaze = value.get("Gaze left", 0.0), value.get("Gaze up", 0.0)
        fields = {
            "seed": "Seed", "light": "Light", "age": "Age", "sex": "Sex", "weight": "Weight",
            "african": "African", "asian": "Asian", "face": "Face", "jaw": "Jaw",
            "yaw": "Camera yaw", "pitch": "Camera pitch", "head_yaw": "Head yaw",
            "head_pitch": "Head pitch", "head_roll": "Head roll", "fov": "Field of view",
        }  # fmt: skip
        return View(
            **{field: value[name] for field, name in fields.items() if name in value},
            actions={action: value[name] for name, action in ACTIONS.items() if name in value},
            worn=tuple(name for name in WEAR if value.get(name.capitalize())),
            gaze=gaze if value.get("Set the gaze") else None,
        )

    def _button(self, gui: viser.GuiApi, name: str, save: Callable[[View, Path], Path]) -> None:
        def clicked(_: Any) -> None:
            try:
                self.status.content = f"Saved: `{save(self.view, self.root)}`"
            except (UserError, OSError) as error:
                self.status.content = f"Not saved: {error}"

        self.buttons[name] = gui.add_button(name)
        self.buttons[name].on_click(clicked)

    def _moved(self) -> None:
        view = self.view
        self.recipe.content = f"```\n{self.drawing.recipe(view)}```"
        self.worker.want(view)

    def _show_coarse(self, view: View) -> None:
        def show() -> None:
            coarse: Coarse = self.drawing.coarse(view)
            self._head.vertices, self._head.faces = coarse.vertices_m, coarse.faces
            self._seen, self.status.content = coarse.sample, "Drawing ..."

        self._show(show)

    def _show_full(self, view: View) -> None:
        def show() -> None:
            self._seen = self.drawing.full(view)
            self.status.content = "As a dataset has it."

        self._show(show)

    def _show(self, show: Callable[[], None]) -> None:
        try:
            show()
        except UserError as error:
            self.status.content = f"Cannot draw this: {error}"
        self._show_panels()

    def _show_panels(self) -> None:
        if self._seen is not None:
            self.image.image = panels(self._seen, self.over.value)
