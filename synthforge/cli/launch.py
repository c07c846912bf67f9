"""Start a command, with one line for what can go wrong before it runs."""

from __future__ import annotations

import importlib
import sys


def launch(module: str, command: str) -> None:
    """Import and run a click command. Importing torch takes seconds: users may press Ctrl-C."""
    try:
        run = getattr(importlib.import_module(module), command)
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        print(
            f"Error: {error}. Run `make demo` once, then start this with .venv/bin/python.",
            file=sys.stderr,
        )
        sys.exit(2)
    run()
