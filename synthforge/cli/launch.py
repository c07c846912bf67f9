"""Start a command: quiet on Ctrl-C, and one line for what can go wrong before it runs."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from types import FrameType


def launch(module: str, command: str) -> None:
    """Import and run a click command.

    Until the command calls `started`, Ctrl-C ends the process at once with exit code 130: a
    KeyboardInterrupt inside an import of torch or numpy would come out as another error.
    """
    _leave_on_ctrl_c()
    if isinstance(sys.stdout, io.TextIOWrapper):  # paths may hold bytes that are not UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        run = getattr(importlib.import_module(module), command)
    except ModuleNotFoundError as error:
        print(f"Error: {without(error)}", file=sys.stderr)
        sys.exit(2)
    try:
        run()
    finally:  # unloading torch takes a moment
        _leave_on_ctrl_c()


def started() -> None:
    """All imports are done: from here on Ctrl-C raises KeyboardInterrupt as usual."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def without(error: ImportError) -> str:
    """What a missing library means for the user, and the way out."""
    if error.name == "cv2" or "libGL" in str(error):
        return (
            f"OpenCV cannot be loaded ({error}). Install the build without a display: "
            "pip uninstall opencv-python, then pip install --force-reinstall "
            "opencv-python-headless"
        )
    return f"{error}. Run `make demo` once, then start this with .venv/bin/python."


def _leave_on_ctrl_c() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
        signal.signal(signal.SIGINT, _leave)


def _leave(signum: int, frame: FrameType | None) -> None:
    os._exit(130)
