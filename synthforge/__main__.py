"""python -m synthforge COMMAND"""

from __future__ import annotations

from synthforge.cli.launch import launch


def main() -> None:
    """The console script `synthforge`."""
    launch("synthforge.cli.commands", "synthforge")


if __name__ == "__main__":
    main()
