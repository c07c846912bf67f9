"""What the command line and config files take, and what they answer to anything else."""

import json
import re

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from synthforge import assembly
from synthforge.cli.config_option import config_option
from synthforge.cli.generate import generate
from synthforge.cli.options import Command, OneLine, PathOption, range_option
from synthforge.cli.train_alignment import train
from synthforge.errors import UserError


@click.command(cls=Command)
@click.option("--count", type=int, default=1)
@click.option("--size", type=float, default=1.0)
@click.option("--names", default="")
@click.option("--fast", is_flag=True)
@click.option("--place", type=PathOption(), default=None)
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


def test_a_number_beyond_64_bits_is_refused_without_being_printed(tmp_path):
    for name in ("count", "size"):
        result = run(tmp_path, f"{name} = 0x{'f' * 8000}")
        assert result.exit_code == 2
        assert f"{name} must be a" in result.output and "beyond 64 bits" in result.output
        assert len(result.output) < 300


@pytest.mark.parametrize("place", ["", "a\0b", "a\ud800b"])
def test_a_path_that_no_file_can_have_is_refused(tmp_path, place):
    result = CliRunner().invoke(command, ["--place", place])
    assert result.exit_code == 2
    assert result.output.startswith("Error: --place ")
    assert len(result.output.splitlines()) == 1
    if "\ud800" not in place:  # TOML has no lone surrogates
        result = run(tmp_path, f"place = {json.dumps(place)}")
        assert result.exit_code == 2 and len(result.output.splitlines()) == 1


@pytest.mark.parametrize("program", [generate, train])
def test_ctrl_c_during_work_ends_in_one_line(program, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(assembly, "build_parts", interrupt)
    needed = ["--output_dir", "out", "--num_images", "1"] if program is generate else []
    result = CliRunner().invoke(program, needed)
    assert result.exit_code == 130
    assert result.output == "Stopped. Run the same command again to go on.\n"


@pytest.mark.parametrize(
    "error", [MemoryError(), type("OutOfMemoryError", (RuntimeError,), {})("CUDA")]
)
def test_too_little_memory_ends_in_one_line(error, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(assembly, "build_parts", fail)
    result = CliRunner().invoke(generate, ["--output_dir", "out", "--num_images", "1"])
    assert result.exit_code == 2
    assert result.output == "Error: out of memory; give a smaller --batch_size\n"


def test_control_characters_in_messages_are_escaped():
    assert OneLine("a\nb\x1b[31m é").message == "a\\nb\\x1b[31m é"


@pytest.mark.parametrize("program", [generate, train])
def test_help_lists_every_option_once(program):
    text = CliRunner().invoke(program, ["--help"], terminal_width=100).output
    for parameter in program.params:
        assert len(re.findall(rf"^  {parameter.opts[0]}\b", text, re.MULTILINE)) == 1


def test_help_says_degrees_beside_radians():
    text = CliRunner().invoke(generate, ["--help"], terminal_width=100).output
    assert "normal(0, 0.3) in -0.5 0.5 = -29 29 deg" in " ".join(text.split())


NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30),
    st.sampled_from([2**31, 2**63, -(2**63), 2**64]),
    st.floats(),
    st.sampled_from([1e308, 5e-324, -0.0]),
).map(str)
TEXTS = st.one_of(
    NUMBERS,
    st.text(st.characters(), max_size=20),
    st.sampled_from(["auto", "cpu", "/", "x" * 5000]),
)


@st.composite
def command_lines(draw, program):
    """Any options of a program with any values."""
    chosen = draw(st.lists(st.sampled_from(program.params), max_size=4))
    line = []
    for option in chosen:
        if option.is_flag:
            line += [option.opts[0]]
        else:
            values = NUMBERS if draw(st.booleans()) else TEXTS
            line += [option.opts[0], *(draw(values) for _ in range(option.nargs))]
    return line


class Stopped(UserError):
    pass


@pytest.mark.parametrize("program", [generate, train])
def test_no_command_line_ends_in_a_traceback(program, tmp_path, monkeypatch):
    """Up to where work would begin; numbers that pass are checked in test_config."""

    def stop(*_, **__):
        raise Stopped("enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(assembly, "build_parts", stop)
    needed = ["--output_dir", "out", "--num_images", "1"] if program is generate else []

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(command_lines(program))
    def check(line):
        result = CliRunner().invoke(program, [*needed, *line])
        if result.exit_code != 0:  # --help
            assert result.exit_code == 2, (line, result.output)
            assert (
                len([row for row in result.output.splitlines() if row.startswith("Error: ")]) == 1
            )

    check()
    assert not list(tmp_path.iterdir())
