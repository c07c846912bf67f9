"""What `import synthforge` shows, and docs/api.md lists."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import synthforge

ROOT = Path(__file__).parent.parent
README, DOCS = ((ROOT / name).read_text() for name in ("README.md", "docs/api.md"))


def test_the_docs_list_every_public_name_by_its_docstring():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", DOCS, re.MULTILINE)
    assert [name for name, _ in rows] == synthforge.__all__
    for name, line in rows:
        docs = " ".join(inspect.getdoc(getattr(synthforge, name)).split())
        assert docs.startswith(line) and line.endswith("."), name


def test_every_public_name_is_one_of_its_module():
    assert list(synthforge._HOMES) == synthforge.__all__
    assert set(dir(synthforge)) >= {*synthforge.__all__, "__version__"}
    for name in synthforge.__all__:
        assert getattr(synthforge, name).__module__.startswith("synthforge.")


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, synthforge; print({'torch', 'numpy', 'cv2'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "set()", done.stderr


def test_the_packages_are_typed():
    packaged = (ROOT / "pyproject.toml").read_text()
    for package in ("synthforge", "flame_pytorch"):
        assert (ROOT / package / "py.typed").is_file()
        assert f'"{package}" = ["py.typed"]' in packaged


def test_the_examples_name_what_is_public():
    lines = re.findall(r"^ *(from synthforge.* import .*)$", README + DOCS, re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        (node,) = ast.parse(line).body
        assert node.module == "synthforge"
        assert {alias.name for alias in node.names} <= {*synthforge.__all__}
