"""The page on a real server, and in Chromium where it is installed."""

import socket
import threading

import cv2
import numpy as np
import pytest

pytest.importorskip("viser")

from support_browser import opened
from support_chromium import needs_chromium

from synthforge.assembly import build_rig
from synthforge.config import PartsConfig
from synthforge.errors import ConfigError
from synthforge.preview.drawing import Drawing
from synthforge.preview.page import LocalServer, Page
from synthforge.preview.panels import panels
from synthforge.preview.view import View
from synthforge.preview.worker import LatestOnly

IMAGE = "[...document.images].find(image => image.naturalWidth == 1024)?.src"


class Watched(Drawing):
    """A drawing that says when a view was drawn in full."""

    def __init__(self, rig):
        super().__init__(rig)
        self.drawn = []
        self.changed = threading.Condition()

    def full(self, view):
        sample = super().full(view)
        with self.changed:
            self.drawn.append(view)
            self.changed.notify_all()
        return sample

    def wait_for(self, view):
        with self.changed:
            assert self.changed.wait_for(lambda: view in self.drawn, 120)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    drawing = Watched(build_rig(PartsConfig(generator="mannequin"), lambda _: None))
    server = LocalServer.listening("127.0.0.1", 0)
    page = Page(server, drawing, tmp_path_factory.mktemp("saved"), rest_s=0)
    page.server = server
    yield page
    page.worker.close()
    server.stop()


# Name on the page, what it is set to, and the field of the view that then says so.
MOVES = {
    "Seed": (7, "seed"), "Light": (4, "light"), "Age": (12, "age"), "Sex": (0.75, "sex"),
    "Weight": (0.25, "weight"), "African": (0.5, "african"), "Asian": (0.25, "asian"),
    "Face": ("laugh", "face"), "Camera yaw": (-0.55, "yaw"), "Camera pitch": (0.15, "pitch"),
    "Head yaw": (0.35, "head_yaw"), "Head pitch": (-0.1, "head_pitch"),
    "Head roll": (0.2, "head_roll"), "Field of view": (25.5, "fov"), "Right": (-0.1, "offset_x"),
    "Down": (0.1, "offset_y"),
}  # fmt: skip


def test_each_slider_is_a_field_of_the_view(page):
    for name, (value, field) in MOVES.items():
        before = page.view
        page.sliders[name].value = value
        assert getattr(page.view, field) == value != getattr(before, field)
    page.sliders["Smile"].value = 0.45
    assert page.view.actions["mouthSmile"] == 0.45
    page.sliders["Gaze left"].value = 0.5
    assert page.view.gaze is None
    page.sliders["Set the gaze"].value = True
    assert page.view.gaze == (0.5, 0)
    page.sliders["Hair"].value, page.sliders["Hair colour"].value = "side part", "dark brown"
    assert (page.view.hair, page.view.hair_color) == ("side_part", "dark_brown")
    page.sliders["Hair"].value = page.sliders["Hair colour"].value = "by the seed"
    assert page.view.hair is page.view.hair_color is None
    page.sliders["Face size"].value = 0.4
    assert page.view.face_size is None
    page.sliders["Set the size"].value = True
    assert page.view.face_size == 0.4
    assert page.drawing.recipe(page.view) in page.recipe.content


def test_the_page_shows_what_its_sliders_say(page):
    page.sliders["Age"].value = 70
    page.drawing.wait_for(page.view)
    page.worker.close()  # all is shown
    page.over.value = "regions"
    wanted = panels(page.drawing.full(page.view), "regions")
    np.testing.assert_array_equal(page.image.image, wanted)
    page.worker = LatestOnly(page._show_coarse, page._show_full, 0)


def test_buttons_save(page):
    for button in page.buttons.values():
        button.value = True
        assert page.status.content.startswith("Saved: ")
    assert sorted(path.name for path in page.root.iterdir()) == ["face_0000", "face_0000.glb"]


def test_what_cannot_be_drawn_is_told(page):
    before = page.sliders["Face"].value
    page.sliders["Smile"].value = 0.0
    page._show_coarse(View(face="grin"))
    assert "Cannot draw this: no face is called 'grin'" in page.status.content
    assert page.sliders["Face"].value == before


def test_no_page_can_have_the_server_published(page):
    assert page.server.request_share_url() is None


def test_it_listens_on_this_machine_alone(page):
    port = page.server.get_port()
    with socket.create_connection(("127.0.0.1", port), 10):
        pass
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), 10):
        pass
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1, port {port}: "):
        LocalServer.listening("127.0.0.1", port)


@needs_chromium
def test_a_moved_slider_changes_the_image_in_the_browser(page, tmp_path):
    with opened(f"http://127.0.0.1:{page.server.get_port()}", tmp_path) as tab:
        first = tab.until(IMAGE)
        page.sliders["Camera yaw"].value = 0.6
        tab.until(f"({IMAGE} ?? {first!r}) != {first!r}")
        text = tab.value("document.body.innerText")
        assert {"Smile", "Head roll", "Hair", "Face size", "Save the mesh (GLB)"} <= {
            *text.split("\n")
        }
        shot = cv2.imdecode(np.frombuffer(tab.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        assert shot.std() > 10
        assert not tab.errors


# Is the image at the top, as wide as the screen, and the lowest button reached by scrolling?
ON_A_PHONE = """(() => {
  const image = [...document.images].find(image => image.naturalWidth == 1024);
  const button = [...document.querySelectorAll("button")].find(
    button => button.innerText.includes("GLB"));
  if (!image || !button) return null;
  button.scrollIntoView({block: "center"});
  const [seen, reached] = [image, button].map(element => element.getBoundingClientRect());
  const found = document.elementFromPoint(reached.x + reached.width / 2, reached.y + 5);
  return [seen.left, seen.top, seen.width, seen.height, button.contains(found)];
})()"""


@needs_chromium
def test_on_a_phone_the_image_stays_above_the_controls(page, tmp_path):
    with opened(f"http://127.0.0.1:{page.server.get_port()}", tmp_path, (500, 844)) as tab:
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        tab.call("Emulation.setDeviceMetricsOverride", **size)
        tab.until(f"{ON_A_PHONE}?.[4] && {ON_A_PHONE}[2] == innerWidth")
        assert tab.value(ON_A_PHONE) == [0, 0, 390, 195, True]
        assert not tab.errors
