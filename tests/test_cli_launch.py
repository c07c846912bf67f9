"""Starting a command: what is imported, how many threads it takes, and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support_signals import sigint_as

from synthforge.cli.threads import limit_threads
from synthforge.config import PartsConfig

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "numpy", "scipy", "cv2", "matplotlib", "numba")
THREADS = ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
COMMANDS = {
    "generate_synthforge_data.py": [],
    "train_alignment_mlp.py": [],
    "synthforge/__main__.py": [],
    "synthforge/__main__.py generate": ["generate"],
    "synthforge/__main__.py verify": ["verify"],
    "synthforge/__main__.py info": ["info"],
    "synthforge/__main__.py doctor": ["doctor"],
    "synthforge/__main__.py train-alignment": ["train-alignment"],
    "synthforge/__main__.py convert-checkpoint": ["convert-checkpoint"],
}
GENERATE = ["generate_synthforge_data.py", "--output_dir", "out", "--num_images", "1"]


def start(arguments, cwd, first=(), after="", **environment):
    """Run a script as `python SCRIPT ARGUMENTS`, with the folders `first` before all packages.

    after: code that runs when the script ends.
    """
    script, *rest = arguments
    code = f"""
import runpy, sys
sys.path[:0] = {[str(folder) for folder in first]}
sys.argv = [{script!r}, *{[str(argument) for argument in rest]}]
def end():
    {after or "pass"}
try:
    runpy.run_path({str(ROOT / script)!r}, run_name="__main__")
finally:
    end()
"""
    kept = {name: value for name, value in os.environ.items() if name not in THREADS}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_imports_nothing_heavy(tmp_path, command, option):
    script = command.split()[0]
    loaded = f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    result = start([script, *COMMANDS[command], option], tmp_path, after=loaded)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Usage:" if option == "--help" else "synthforge 0.")
    assert result.stderr.strip() == "[]"


def test_ctrl_c_during_an_import_ends_quietly(tmp_path):
    (tmp_path / "torch.py").write_text(
        "import os, signal\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    sum(range(10**6))\n"
        "except KeyboardInterrupt:\n"
        "    raise ImportError('numpy could not be loaded')\n"
    )
    with sigint_as(signal.default_int_handler):
        result = start(GENERATE, tmp_path, first=[tmp_path])
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_a_process_that_ignores_ctrl_c_goes_on_ignoring_it(tmp_path):
    (tmp_path / "torch.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise ImportError('alive')\n"
    )
    with sigint_as(signal.SIG_IGN):
        result = start(GENERATE, tmp_path, first=[tmp_path])
    assert result.returncode == 2
    assert "alive" in result.stderr


@pytest.mark.parametrize(
    ("module", "content", "hint"),
    [
        ("torch", "raise ModuleNotFoundError(\"No module named 'torch'\")", "make demo"),
        ("click", "raise ModuleNotFoundError(\"No module named 'click'\")", "make demo"),
        (
            "cv2",
            "raise ImportError('libGL.so.1: cannot open shared object file')",
            "opencv-python-headless",
        ),
    ],
)
def test_a_library_that_does_not_load_is_told_in_one_line(tmp_path, module, content, hint):
    (tmp_path / f"{module}.py").write_text(content)
    result = start(GENERATE, tmp_path, first=[tmp_path])
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and hint in line
    assert not (tmp_path / "out").exists()


def test_the_built_in_head_takes_one_thread(tmp_path):
    counted = "import cv2, torch; print(torch.get_num_threads(), cv2.getNumThreads())"
    result = start([*GENERATE, "--device", "cuda:99"], tmp_path, after=counted)
    assert "CUDA devices" in result.stderr
    assert result.stdout.split() == ["1", "1"]


def test_the_users_number_of_threads_stands(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    limit_threads(PartsConfig(generator="mannequin"))
    assert [os.environ.get(name) for name in THREADS] == ["3", None]


def test_next3d_takes_all_cores(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    limit_threads(PartsConfig(generator="next3d"))
    assert not any(name in os.environ for name in THREADS)


def test_a_path_that_is_not_utf8_is_written_and_printed(tmp_path):
    root = os.fsencode(tmp_path) + b"/f\xff\xfe"
    result = subprocess.run(
        [
            *(sys.executable, ROOT / "generate_synthforge_data.py", "--output_dir", root),
            *("--num_images", "1"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert b"1 sample written" in result.stdout
    assert os.path.isfile(root + b"/contact_sheet.png")
