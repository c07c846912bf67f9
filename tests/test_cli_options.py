"""Settings of config files, by kind."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from synthforge.cli.options import Command, config_option, range_option

ROOT = Path(__file__).parent.parent


@click.command(cls=Command)
@click.option("--count", type=int, default=1)
@click.option("--size", type=float, default=1.0)
@click.option("--names", default="")
@click.option("--fast", is_flag=True)
@range_option("turn", "radians")
@config_option
def command(**settings):
    click.echo(settings)


def run(tmp_path, text):
    (tmp_path / "run.toml").write_text(text)
    return CliRunner().invoke(command, ["--config", str(tmp_path / "run.toml")])


def test_settings_arrive_as_the_command_line_gives_them(tmp_path):
    result = run(
        tmp_path, 'count = 3\nsize = 2\nnames = ["a", "b"]\nfast = true\nturn = [0, 0.5]\n'
    )
    assert result.exit_code == 0
    for part in ("'count': 3", "'size': 2.0", "'names': 'a,b'", "'fast': True", "high=0.5"):
        assert part in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count = 1.5", "count must be a whole number, got 1.5"),
        ("count = true", "count must be a whole number, got True"),
        ("size = 'big'", "size must be a number, got 'big'"),
        ("names = 7", "names must be text, got 7"),
        ("names = [1]", r"names must be text, got [1]"),
        ("fast = 1", "fast must be true or false, got 1"),
        ("turn = 3", "turn must be two numbers, such as [0.0, 0.5], got 3"),
        ("turn = [0, '1']", "turn must be two numbers"),
    ],
)
def test_a_setting_of_another_kind_is_named_with_its_file(tmp_path, text, message):
    result = run(tmp_path, text)
    assert result.exit_code == 2
    assert f"run.toml: {message}" in result.output
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize("script", ["generate_synthforge_data.py", "train_alignment_mlp.py"])
def test_a_python_without_torch_is_told_in_one_line(script):
    blocked = "import sys; sys.modules['torch'] = None; import runpy; sys.argv = ['x', '--help'];"
    result = subprocess.run(
        [sys.executable, "-c", blocked + f"runpy.run_path({script!r}, run_name='__main__')"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "make demo" in line
