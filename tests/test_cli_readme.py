"""The commands of the README and of --help are ones that the program takes."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthforge import assembly, doctor
from synthforge.cli.commands import synthforge
from synthforge.cli.generate import generate
from synthforge.cli.train_alignment import train
from synthforge.dataset import read, target
from synthforge.errors import UserError

ROOT = Path(__file__).parent.parent
PROGRAMS = {
    "generate_synthforge_data.py": generate,
    "train_alignment_mlp.py": train,
    "synthforge": synthforge,
}


class Reached(UserError):
    pass


def commands():
    """Lines that begin with a program of ours, as (program, arguments)."""
    readme = (ROOT / "README.md").read_text()
    text = readme + CliRunner().invoke(generate, ["--help"], terminal_width=200).output
    for line in text.splitlines():
        words = re.sub(r"^ +(\S*python )?|#.*| &$", "", line)
        if line.startswith(" ") and words.split(" ")[0] in PROGRAMS:
            yield words


@pytest.mark.parametrize("line", dict.fromkeys(commands()))
def test_a_printed_command_gets_to_its_work(line, monkeypatch, tmp_path):
    def reach(*_, **__):
        raise Reached("work begins")

    monkeypatch.setattr(assembly, "build_parts", reach)
    monkeypatch.setattr(target, "read_card", reach)
    monkeypatch.setattr(read, "read_card", reach)
    monkeypatch.setattr(doctor, "machine", reach)
    program, *arguments = shlex.split(line)
    arguments = [str(ROOT / word) if word.endswith(".toml") else word for word in arguments]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(PROGRAMS[program], arguments)
    assert "work begins" in result.output, result.output


def test_all_kinds_of_commands_are_found():
    found = list(commands())
    assert {line.split()[0] for line in found} == PROGRAMS.keys()
    assert any("examples/run.toml" in line for line in found)
