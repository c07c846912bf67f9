"""The commands under one name."""

import importlib

import click
import pytest
from click.testing import CliRunner

from synthforge.cli.commands import COMMANDS, synthforge


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_each_command_by_its_first_sentence(name):
    module, attribute, line = COMMANDS[name]
    command = getattr(importlib.import_module(module), attribute)
    assert command.help.partition("\n\n")[0].replace("\n", " ").startswith(line)
    assert line in " ".join(CliRunner().invoke(synthforge, ["--help"]).output.split())


def test_an_unknown_command_is_told():
    result = CliRunner().invoke(synthforge, ["verfy"])
    assert result.exit_code == 2
    assert "No such command 'verfy'" in click.unstyle(result.output)
