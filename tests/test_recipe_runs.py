"""Controlled sets are the same bytes in one process and in several, in a folder and in shards."""

import tarfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import support_workers
from click.testing import CliRunner

from synthforge.cli.generate import generate
from synthforge.config import RunConfig
from synthforge.dataset.read import Dataset
from synthforge.dataset.shards.write import ShardWriter
from synthforge.dataset.target import open_target
from synthforge.dataset.write import DatasetWriter
from synthforge.grid import Grid
from synthforge.pipeline import InProcess, generate_dataset
from synthforge.workers import Workers

FOLDERS = {"png": "images", "json": "annotations"}
NUMBERS = ("identity", "expression", "view", "light")


def files(root):
    """Each file of each sample, as (index, folder)."""
    if not (root / "shards").exists():
        paths = (path for path in root.glob("*/*.*") if path.parent.name != "manifests")
        return {(path.stem, path.parent.name): path.read_bytes() for path in paths}
    found = {}
    for shard in sorted((root / "shards").iterdir()):
        with tarfile.open(shard) as tar:
            for entry in tar:
                index, _, ending = entry.name.partition(".")
                folder = FOLDERS.get(ending, ending.removesuffix(".png"))
                found[index, folder] = tar.extractfile(entry).read()
    return found


def build(grid):
    rig = support_workers.build()
    return replace(rig, sampling=replace(rig.sampling, grid=grid))


def draw(root, grid, workers, format):
    """A run of 12 samples; its summary."""
    run = RunConfig(*(root, 12), seed=1, batch_size=2, format=format, samples_per_tar=4)
    if format == "folder":
        writer = DatasetWriter(root, {"recipe": {}})
    else:
        writer = ShardWriter(open_target(root), {"recipe": {}}, run)
    writer.open()
    try:
        engine = InProcess(build(grid), run, writer.sink)
        if workers > 1:
            engine = Workers([partial(build, grid)] * workers, run, writer.sink)
        return generate_dataset(run, writer, engine)
    finally:
        writer.close()


@pytest.mark.slow
def test_a_grid_is_the_same_bytes_in_shards_of_two_workers(tmp_path):
    grid = Grid(9, 4, 5, order="random")
    alone = draw(tmp_path / "alone", grid, 1, "folder")
    shards = draw(tmp_path / "shards", grid, 2, "webdataset")
    assert len(files(tmp_path / "alone")) == 4 * alone.written and alone.rejected.total() > 3
    assert files(tmp_path / "shards") == files(tmp_path / "alone")
    assert shards == alone
    dataset = Dataset(tmp_path / "alone")
    numbers = {
        tuple(int(dataset.annotation(index)[name]) for name in NUMBERS) for index in dataset.indices
    }
    assert len(numbers) > 4


def test_a_recipe_in_shards_holds_the_files_of_the_folder(tmp_path):
    recipe = Path(tmp_path / "recipe.toml")
    recipe.write_text("[grid]\nidentities = 1\nviews = [{yaw = -0.4}, {yaw = 0.4}]")
    for name, options in (("a", []), ("b", ["--format", "webdataset", "--samples_per_tar", "1"])):
        options = [*options, "--recipe", str(recipe), "--output_dir", str(tmp_path / name)]
        result = CliRunner().invoke(generate, options)
        assert result.exit_code == 0, result.output
    assert files(tmp_path / "b") == files(tmp_path / "a")
    assert len(list((tmp_path / "b" / "shards").iterdir())) == 2
