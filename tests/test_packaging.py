"""The two lists of dependencies agree, and importing does nothing."""

import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
# What conda calls otherwise; PyTorch3D is there for conda users only.
CONDA_NAMES = {"pytorch": "torch"}
CONDA_ONLY = {"pytorch3d", "pip"}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(lines):
    pairs = (re.match(r"([A-Za-z0-9_-]+)(.*)", line).groups() for line in lines)
    return {CONDA_NAMES.get(name, name): spec for name, spec in pairs}


def test_environment_yml_and_pyproject_agree():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in listed if isinstance(entry, dict))
    conda = requirements(entry for entry in listed if isinstance(entry, str))
    conda |= requirements(entry for entry in pip if not entry.startswith("-e"))
    assert conda.keys() >= CONDA_ONLY
    wanted = requirements(project()["dependencies"])
    wanted |= requirements(project()["optional-dependencies"]["detector"])
    wanted["python"] = project()["requires-python"]
    assert {name: spec for name, spec in conda.items() if name not in CONDA_ONLY} == wanted


def test_pins_cover_every_dependency():
    pinned = requirements((ROOT / "constraints.txt").read_text().splitlines())
    wanted = requirements(project()["dependencies"] + project()["optional-dependencies"]["test"])
    folded = {name.lower() for name in pinned}
    assert not [name for name in wanted if name.lower() not in folded]
    assert all(spec.startswith("==") for spec in pinned.values())


def test_the_wheel_holds_all_data_and_licences():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = {
        Path(*package.split("."), name)
        for package, names in settings["tool"]["setuptools"]["package-data"].items()
        for name in names
    }
    there = {
        path.relative_to(ROOT)
        for package in ("synthforge", "flame_pytorch")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert listed == there
    licences = {path for glob in project()["license-files"] for path in ROOT.glob(glob)}
    assert licences == {ROOT / "LICENSE", ROOT / "NOTICE", *(ROOT / "LICENSES").iterdir()}


def test_pip_users_never_need_pytorch3d_or_chumpy():
    extras = project()["optional-dependencies"].values()
    listed = [*project()["dependencies"], *itertools.chain(*extras)]
    assert not {"pytorch3d", "chumpy"} & requirements(listed).keys()


def test_importing_any_module_does_nothing(tmp_path):
    script = """
import importlib, pkgutil, threading
import flame_pytorch, synthforge
for package in (flame_pytorch, synthforge):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
from synthforge.mannequin import baked_head
assert baked_head.cache_info().currsize == 0
assert threading.active_count() == 1
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_the_map_names_every_file():
    files = (ROOT / "docs" / "files.md").read_text()
    sources = [
        path
        for package in ("synthforge", "flame_pytorch", "benchmarks")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    ]
    assert not [str(path) for path in sources if f"| `{path.name}` |" not in files]
