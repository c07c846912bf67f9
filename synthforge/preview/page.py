"""The page: sliders, the panels of what they say, the head to turn. On viser."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import viser

from synthforge.dataset.sample import Sample
from synthforge.errors import ConfigError, UserError
from synthforge.preview.drawing import Coarse, Drawing
from synthforge.preview.inputs import Inputs
from synthforge.preview.panels import Over, panels
from synthforge.preview.same_origin import only_own
from synthforge.preview.view import View
from synthforge.preview.worker import REST_S, LatestOnly

_PANEL_WIDTH = 760
_SKIN = (225, 185, 165)


# On a phone viser puts all panels into a sheet at the lower right, each closed. Here the sheet is
# as wide as the screen, and the image, 2:1, stays above it.
_ON_PHONES = """<style>
@media (max-width: 36em) {
  html { font-size: 16px !important; }
  .mantine-Paper-root:has(img[src^="blob:"]) {
    width: 100vw !important; max-height: calc(100dvh - 50vw) !important;
  }
  .mantine-Paper-root:has(img[src^="blob:"]) .mantine-ScrollArea-content > div {
    width: 100% !important;
  }
  .mantine-Paper-root img[src^="blob:"] {
    position: fixed; top: 0; left: 0; width: 100vw; max-width: none !important;
  }
}
</style>"""


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
        # Without viser's banner.
        with contextlib.redirect_stdout(io.StringIO()), only_own(host):
            return cls(host, port, label="SynthForge", verbose=False)


class Page:
    """The page of one drawing. Its handles are viser's.

    image: the panels. status: a line on what is seen. recipe: the command and its recipe.
    buttons: by their names on the page.
    """

    def __init__(
        self, server: viser.ViserServer, drawing: Drawing, root: Path, rest_s: float = REST_S
    ) -> None:
        self.drawing, self.root = drawing, root
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
        gui.main_panel.dock_right()
        panel.dock_left()
        panel.set_width(_PANEL_WIDTH)
        panel.expand()
        gui.add_html(_ON_PHONES)
        self.status = gui.add_markdown("Drawing ...")
        self.over = gui.add_dropdown("Over the face", get_args(Over))
        self._inputs = Inputs(gui, drawing.known)
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

    @property
    def view(self) -> View:
        """What the sliders say."""
        return self._inputs.view

    @property
    def sliders(self) -> Mapping[str, viser.GuiInputHandle[Any]]:
        """By their names on the page."""
        return self._inputs.handles

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
