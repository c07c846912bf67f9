"""Headless Chromium on a live page, by the DevTools protocol."""

import base64
import contextlib
import json
import subprocess
import time

from support_chromium import CHROMIUM

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--remote-debugging-port=0"),
)


class Tab:
    """errors: what the page's console told of them, and its exceptions."""

    def __init__(self, socket):
        self._socket, self._last, self.errors = socket, 0, []

    def call(self, method, **params):
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=120))
            self._note(message)
            if message.get("id") == self._last:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message):
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"])
        if message.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(params["args"])

    def value(self, script):
        """What the expression is on the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return result["result"].get("value")

    def until(self, script):
        """Wait until the expression is true on the page; returns it."""
        for _ in range(600):
            if value := self.value(script):
                return value
            time.sleep(0.1)
        raise AssertionError(f"never true: {script}; errors: {self.errors}")

    def screenshot(self):
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])


@contextlib.contextmanager
def opened(url, folder, size=(1600, 900)):
    """A Tab on the page. folder: an empty one, for Chromium's own files."""
    from websockets.sync.client import connect

    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", f"--window-size={size[0]},{size[1]}"]
    browser = subprocess.Popen([*command, "about:blank"], stderr=subprocess.DEVNULL)
    try:
        file = folder / "DevToolsActivePort"
        while not (file.exists() and len(file.read_text().split()) == 2):
            assert browser.poll() is None
            time.sleep(0.1)
        port, path = file.read_text().split()
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as main:
            made = Tab(main).call("Target.createTarget", url="about:blank")["targetId"]
        address = f"ws://127.0.0.1:{port}/devtools/page/{made}"
        with connect(address, max_size=None) as socket:
            tab = Tab(socket)
            tab.call("Runtime.enable")
            tab.call("Page.enable")
            tab.call("Page.navigate", url=url)
            yield tab
    finally:
        browser.terminate()
        browser.wait()
