"""Recipe files: what they say is drawn, and what they cannot mean is named in one line."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from synthforge import assembly
from synthforge.cli.generate import generate
from synthforge.config import PartsConfig
from synthforge.dataset.read import Dataset
from synthforge.detectors import Detector
from synthforge.distributions import Choice, Normal, Range
from synthforge.errors import ConfigError
from synthforge.generators.mannequin import MANNEQUIN
from synthforge.generators.next3d import NEXT3D
from synthforge.grid import Grid
from synthforge.mannequin.head.faces import FACES
from synthforge.mannequin.people import draw_people
from synthforge.recipe_files import read_recipe
from synthforge.sampling import SampleId, draw
from synthforge.sampling_config import MANNEQUIN_SAMPLING

ROOT = Path(__file__).parent.parent
SHIPPED = {path.stem: path for path in (ROOT / "recipes").glob("*.toml")}
BUILT_IN_ONLY = {"children", "expression_sweep"}
TINY = """
[grid]
identities = 1
views = [{yaw = -0.4}, {yaw = 0.4}]
[sample]
head_yaw = 0
"""


def written(folder, text):
    path = folder / "recipe.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def grid_of(folder, text):
    return read_recipe(written(folder, "[grid]\n" + text))["grid"]


def run(*arguments, expect=0):
    result = CliRunner().invoke(generate, [str(argument) for argument in arguments])
    assert result.exit_code == expect, result.output
    return result


# --- What is read ---------------------------------------------------------------------------------


def test_each_kind_of_distribution(tmp_path):
    text = """
    [sample]
    age = [3, 12]
    fov = 20
    yaw = {normal = [0, 0.3], within = [-0.7, 0.7]}
    head_yaw = {normal = [0.1, 0.2]}
    expression = {normal = [0, 1]}
    jaw = {choice = [0, 0.2]}
    sex = {choice = [0, 1]}
    african = 1
    """
    assert read_recipe(written(tmp_path, text)) == {
        "age_years": Range(3, 12),
        "fov_deg": Range(20, 20),
        "yaw_rad": Normal(0, 0.3, -0.7, 0.7),
        "head_yaw_rad": Normal(0.1, 0.2, -math.pi / 2, math.pi / 2),
        "expression": Normal(0, 1, -10, 10),
        "jaw_rad": Choice((0, 0.2)),
        "sex": Choice((0, 1)),
        "african": Range(1, 1),
    }


def test_what_is_read_is_drawn(tmp_path):
    text = (
        "[sample]\nsex = {choice = [0, 1]}\njaw = 0.1\nshape = {normal = [1, 0.5]}\nfov = [30, 31]"
    )
    overrides = read_recipe(written(tmp_path, text))
    ids = [SampleId(0, index) for index in range(20)]
    drawn = draw(ids, replace(NEXT3D.sampling, **overrides), 4)
    assert drawn.shape.mean().item() == pytest.approx(1, abs=0.05)
    assert drawn.shape.std().item() == pytest.approx(0.5, rel=0.05)
    assert drawn.pose_rad[:, 6].tolist() == [np.float32(0.1)] * 20
    assert 30 < drawn.fov_deg.min() < drawn.fov_deg.max() < 31
    people = draw_people(ids, replace(MANNEQUIN_SAMPLING, sex=overrides["sex"]))
    assert set(people.labels["sex"].tolist()) == {0, 1}


def test_each_kind_of_grid(tmp_path):
    assert grid_of(tmp_path, "identities = 10\nlights = 3") == Grid(10, lights=3)
    text = 'expressions = ["smile", {jawOpen = 0.5}]\nviews = 4\norder = "random"'
    assert grid_of(tmp_path, text) == Grid(None, ("smile", {"jawOpen": 0.5}), 4, None, "random")
    listed = grid_of(tmp_path, "views = [{yaw = -0.5, fov = 20}, {yaw = 0.5, fov = 30}]").views
    assert listed == ({"yaw_rad": -0.5, "fov_deg": 20}, {"yaw_rad": 0.5, "fov_deg": 30})
    text = "views = {yaw = {from = -1, to = 1, steps = 3}, pitch = {from = 0, to = 0.5, steps = 2}}"
    steps = [(yaw, pitch) for yaw in (-1, 0, 1) for pitch in (0, 0.5)]
    assert [tuple(view.values()) for view in grid_of(tmp_path, text).views] == steps
    text = "expressions = {mouthSmile = {from = 0, to = 1, steps = 5}, jawOpen = 0.1}"
    smiles = [face["mouthSmile"] for face in grid_of(tmp_path, text).expressions]
    assert smiles == [0, 0.25, 0.5, 0.75, 1]


# --- What ships -----------------------------------------------------------------------------------


def test_the_recipes_that_were_asked_for_ship():
    named = {"paper", "multi_view", "expression_sweep", "head_pose_sweep", "near_frontal"}
    assert named | {"children"} == SHIPPED.keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_draws(name):
    overrides = read_recipe(SHIPPED[name])
    PartsConfig(sampling_overrides=overrides)
    ids = [SampleId(1, index) for index in range(24)]
    people = draw_people(ids, MANNEQUIN.sampling_with(overrides))
    grid = overrides.get("grid")
    if grid is not None:
        assert grid.size >= 1000
        assert max(people.labels["identity"]) == 23 // (grid.size // grid.identities)
    if name in BUILT_IN_ONLY:
        with pytest.raises(ConfigError, match=r"give .*--generator mannequin"):
            NEXT3D.sampling_with(overrides)
    else:
        draw(ids, NEXT3D.sampling_with(overrides), 4)


def test_shipped_recipes_draw_what_they_are_called():
    ids = [SampleId(1, index) for index in range(60)]

    def drawn(name):
        return draw_people(ids, MANNEQUIN.sampling_with(read_recipe(SHIPPED[name])))

    assert drawn("children").labels["age_years"].max() <= 12
    frontal = drawn("near_frontal")
    assert (frontal.yaw_rad.abs() + frontal.pose_rad[:, 4].abs()).max() < 0.4
    paper = drawn("paper")
    assert paper.yaw_rad.abs().max() > 0.7 and not paper.pose_rad[:, 3:6].any()
    assert paper.fov_deg.min() < 14 and paper.fov_deg.max() > 25
    turned = drawn("head_pose_sweep").pose_rad[:21, 3:5]
    assert len(turned.unique(dim=0)) == 21 and not drawn("head_pose_sweep").yaw_rad.any()


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    run("--recipe", written(folder, TINY), "--output_dir", folder / "set")
    return folder


def test_a_grid_says_how_many_images_there_are(made):
    dataset = Dataset(made / "set")
    assert len(dataset) == 2
    first, second = (dataset.annotation(index) for index in (0, 1))
    assert [first[name] for name in ("identity", "expression", "view", "light")] == [0, 0, 0, 0]
    same = ("flame_shape", "flame_exp", "flame_pose", "flame_neck_pose", "flame_eye_pose", "z")
    for name in (*same, "age_years", "face_actions", "identity", "expression", "light"):
        np.testing.assert_array_equal(first[name], second[name])
    assert (second["view"], second["yaw_rad"]) == (1, pytest.approx(0.4))


def test_the_card_holds_the_recipes_content_and_another_is_refused(made, tmp_path):
    other = written(tmp_path, TINY.replace("0.4", "0.3"))
    result = run("--recipe", other, "--output_dir", made / "set", expect=2)
    assert "made with another sampling grid" in result.output
    moved = written(tmp_path, TINY)
    assert "2 were there" in run("--recipe", moved, "--output_dir", made / "set").output


@pytest.mark.parametrize(
    ("text", "arguments", "hint"),
    [
        (TINY, ("--num_images", 3), "the recipe's grid has 2 images and this run would end at 3"),
        (TINY, ("--start_index", 2), "would end at 3"),
        (TINY, ("--yaw", 0, 0), "--yaw and the recipe's grid both set it"),
        ("[grid]\nviews = 2", (), "--num_images is missing"),
        ("[grid]\nexpressions = ['grin']", ("--num_images", 1), "no face is called 'grin'"),
        ("[grid]\nexpressions = [{grin = 1}]", ("--num_images", 1), "no face action is called"),
        ("[sample]\nage = 5\nshape = [-1, 1]", ("--num_images", 1), "--shape and --age"),
        ("[sample]\nyaw = 30", ("--num_images", 1), "recipe.toml: --yaw must lie inside"),
    ],
)
def test_what_cannot_be_run_ends_before_any_work_in_one_line(tmp_path, text, arguments, hint):
    out = tmp_path / "out"
    recipe = written(tmp_path, text)
    result = run("--recipe", recipe, *arguments, "--output_dir", out, expect=2)
    assert hint in result.output
    assert len([line for line in result.output.splitlines() if line.startswith("Error")]) == 1
    assert not out.exists()


def test_the_command_line_overrides_the_recipe(tmp_path):
    arguments = ("--recipe", written(tmp_path, TINY), "--num_images", 1, "--head_yaw", 0.25, 0.25)
    run(*arguments, "--output_dir", tmp_path / "out")
    annotation = Dataset(tmp_path / "out").annotation(0)
    assert annotation["flame_neck_pose"][1] == 0.25
    assert annotation["yaw_rad"] == pytest.approx(-0.4)


def test_a_rejected_draw_leaves_a_hole_in_a_full_grid(tmp_path, monkeypatch):
    calls = []

    def detector(images):
        calls.append(len(images))
        return [None] * len(images)

    monkeypatch.setattr(
        assembly, "build_detector", lambda *_, is_aligned: Detector("fake", detector, 11)
    )
    arguments = ("--num_images", 1, "--max_attempts", 3, "--output_dir")
    full = run("--recipe", written(tmp_path, TINY), *arguments, tmp_path / "full", expect=2)
    assert (
        "A full grid draws none again; start a new folder with a higher --reject_px" in full.output
    )
    assert calls == [1]
    random = written(tmp_path, "[grid]\nviews = 2\norder = 'random'")
    result = run("--recipe", random, *arguments, tmp_path / "random", expect=2)
    assert "rejected 3 times each" in result.output
    assert calls == [1] * 4


# --- The docs -------------------------------------------------------------------------------------

DOCS = (ROOT / "docs/recipes.md").read_text()


def test_the_docs_list_every_shipped_recipe_with_its_size():
    rows = re.findall(r"^\| `(\w+)\.toml` \| .* \| (.+) \|$", DOCS, re.MULTILINE)
    grids = {name: read_recipe(path).get("grid") for name, path in SHIPPED.items()}
    sizes = {name: str(grid.size) if grid else "`--num_images`" for name, grid in grids.items()}
    assert dict(rows) == sizes


def test_the_docs_name_every_face():
    listed = re.search(r"Faces:\s+([^.]+)\.", DOCS)[1]
    assert re.split(r",\s+", listed) == list(FACES)


def test_the_docs_examples_are_read(tmp_path):
    blocks = re.findall(r"(?:^    .*\n)+", DOCS, re.MULTILINE)
    tables = [block for block in blocks if "python" not in block]
    assert len(tables) == 3
    sample, grid, steps = (re.sub("(?m)^    ", "", block) for block in tables)
    assert len(read_recipe(written(tmp_path, sample))) == 6
    overrides = read_recipe(written(tmp_path, grid))
    assert MANNEQUIN.sampling_with(overrides).grid.size == 180
    assert grid_of(tmp_path, steps).counts == (None, 11, 15, None)


# --- Errors ---------------------------------------------------------------------------------------

BAD = {
    "": "it is empty; give it [sample] or [grid]",
    "yaw = 1": "it has neither [sample] nor [grid]; options belong in a --config file",
    "yaw = 1\n[sample]\nyaw = 1": "the recipe has no 'yaw'; choose from sample, grid",
    "sample = 3": "[sample] must be a table, got 3",
    "[[grid]]": "[grid] must be a table",
    "[sample]\nyav = 1": "[sample] has no 'yav'; did you mean 'yaw'?",
    "[sample]\nyaw_rad = 1": "[sample] has no 'yaw_rad'",
    "[sample]\ngrid = 1": "[sample] has no 'grid'",
    "[sample]\nyaw = true": "yaw must be a number, [low, high], {normal",
    "[sample]\nyaw = nan": "yaw must be a number",
    "[sample]\nyaw = [0, inf]": "yaw must be a number",
    "[sample]\nyaw = [0, 1, 2]": "yaw must be a number",
    "[sample]\nyaw = '0 1'": "yaw must be a number",
    "[sample]\nyaw = [1, 0]": "yaw: range upside down",
    "[sample]\nyaw = {}": "yaw must be a number",
    "[sample]\nyaw = {normal = 1}": "yaw must be a number",
    "[sample]\nyaw = {within = [0, 1]}": "yaw must be a number",
    "[sample]\nyaw = {normal = [0, 1], within = 3}": "yaw must be a number",
    "[sample]\nyaw = {normal = [0, 1], sd = 3}": "yaw must be a number",
    "[sample]\nyaw = {normal = [0, 0]}": "yaw: the standard deviation",
    "[sample]\nyaw = {normal = [3, 1]}": "yaw: the mean of a normal distribution must lie inside",
    "[sample]\nyaw = {choice = 3}": "yaw must be a number",
    "[sample]\nyaw = {choice = []}": "yaw: a choice needs",
    "[sample]\nyaw = {choice = ['a']}": "yaw must be a number",
    "[sample]\nyaw = {choice = [0, 2]}": "--yaw must lie inside",
    "[sample]\nyaw = " + "9" * 4000: "yaw must be a number",
    "[sample]\nyaw = [0, " + "9" * 4000 + "]": "yaw must be a number",
    "[sample]\nafrican = {normal = [0, 1]}": "african must be a number or [low, high]",
    "[sample]\nage = {normal = [30, 10], within = [0, 90]}": "must lie inside 3..85",
    "[grid]": "the grid is empty",
    "[grid]\nperson = 3": "choose from identities, expressions, views, lights, order",
    "[grid]\nidentities = 0": "the grid's identity count must lie inside 1..",
    "[grid]\nidentities = 2.5": "identities must be a whole number, got 2.5",
    "[grid]\nidentities = true": "identities must be a whole number, got True",
    "[grid]\nlights = [1]": "lights must be a whole number",
    "[grid]\nlights = " + "9" * 4000: "got one beyond 64 bits",
    "[grid]\nviews = " + "9" * 30: "got one beyond 64 bits",
    "[grid]\nviews = []": "views is an empty list",
    "[grid]\nviews = 'all'": "views must be a whole number, or a list of tables",
    "[grid]\nviews = [1]": "got 1 in the list",
    "[grid]\nviews = ['left']": "got 'left' in the list",
    "[grid]\nviews = [{age = 3}]": "views has no 'age'; choose from yaw, pitch, fov, head_yaw",
    "[grid]\nviews = [{yaw = 1}, {pitch = 1}]": "views must all set the same parameters",
    "[grid]\nviews = [{yaw = 1}, {}]": "views must all set the same parameters",
    "[grid]\nviews = [{}]": "views must all set the same parameters",
    "[grid]\nviews = [{yaw = [0, 1]}]": "views yaw must be a number or {from = low,",
    "[grid]\nviews = {yaw = {from = 0, to = 1}}": "views yaw must be a number or {from = low,",
    "[grid]\nviews = {yaw = {from = 0, to = 1, steps = 1}}": "steps must lie inside 2..10000",
    "[grid]\nviews = {yaw = {from = 0, to = nan, steps = 2}}": "views yaw must be a number",
    "[grid]\nviews = {yaw = {from = 0, to = 30, steps = 2}}": "--yaw must lie inside",
    "[grid]\nviews = {yaw = {from = 0, to = 1, steps = 200}, "
    "pitch = {from = 0, to = 1, steps = 200}}": "views are more than 10000",
    "[grid]\nexpressions = 'smile'": "expressions must be a whole number, or a list of names",
    "[grid]\nexpressions = [3]": "got 3 in the list",
    "[grid]\nexpressions = [{jawOpen = 2}]": "jawOpen must lie inside 0..1, got 2",
    "[grid]\norder = 'all'\nviews = 2": "order must be one of grid, random, got 'all'",
    "[grid]\norder = ['grid']\nviews = 2": "order must be one of grid, random",
    "[grid": "cannot read recipe",
    "\udcff": "save it in UTF-8",
    "# long\n" * 3000: "is larger than 16384 bytes, so it is no recipe",
    "a = " + "[" * 10_000: "cannot read recipe",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:60])
def test_a_bad_recipe_is_refused_by_name(tmp_path, text):
    with pytest.raises(ConfigError, match=r"recipe\.toml") as caught:
        read_recipe(written(tmp_path, text))
    assert BAD[text] in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(ConfigError, match=re.escape("recipe not found: ")):
        read_recipe(tmp_path / "none.toml")
