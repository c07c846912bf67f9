"""The preview's command."""

import importlib.util
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from support_signals import sigint_as

from synthforge.cli.preview import preview

ROOT = Path(__file__).parent.parent


def test_without_viser_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(preview, [])
    assert result.exit_code == 2
    assert result.output == (
        "Error: the preview needs viser; run pip install 'synthforge[preview]'\n"
    )


def test_it_serves_on_loopback_until_ctrl_c(tmp_path):
    pytest.importorskip("viser")
    command = [sys.executable, "-m", "synthforge", "preview", "--generator", "mannequin"]
    with sigint_as(signal.default_int_handler):
        running = subprocess.Popen(
            [*command, "--port", "0", "--output_dir", str(tmp_path / "saved")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    try:
        told = next(line for line in running.stdout if line.startswith("Preview: "))
        url = told.split()[1]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=240) as answer:
            assert b"<html" in answer.read()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=240)
    finally:
        running.kill()
    assert running.returncode == 0
    assert "Traceback" not in errors
    assert not (tmp_path / "saved").exists()
