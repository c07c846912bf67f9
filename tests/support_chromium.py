"""Opens a page of ours in headless Chromium, where it is installed."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=5000", "--dump-dom"),
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")


def value_on(page, script, folder):
    """What `script`, the body of an async function, returns on the page; errors there fail.

    folder: an empty one, for Chromium's own files.
    """
    before = "<script>window.faults = []; onerror = text => faults.push(text);</script>"
    after = f"""<script>addEventListener("load", async () => {{
      const value = await (async () => {{ {script} }})();
      const out = document.createElement("output");
      out.textContent = JSON.stringify([faults, value]);
      document.body.append(out);
    }})</script>"""
    text = page.read_text(encoding="utf-8")
    (folder / "page.html").write_text(before + text + after, encoding="utf-8")
    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={folder / 'profile'}"]
    command += [(folder / "page.html").as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    faults, value = json.loads(unescape(re.findall(r"<output>(.*?)</output>", dumped)[-1]))
    assert not faults
    return value
