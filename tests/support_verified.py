"""A small dataset of the built-in head, as a folder and as shards of the same samples."""

import json
import shutil

from click.testing import CliRunner

from synthforge.cli.commands import synthforge
from synthforge.cli.generate import generate
from synthforge.config import RunConfig
from synthforge.dataset.read import Dataset
from synthforge.dataset.sample import Sample
from synthforge.dataset.shards.write import ShardWriter
from synthforge.dataset.target import LocalTarget

SAMPLES, A_SHARD = 3, 2
EXTRAS = "seg_id,depth16,normals,uv"


def run(command, *arguments, expect=0):
    """Output of `synthforge COMMAND ARGUMENTS`."""
    result = CliRunner().invoke(synthforge, [command, *map(str, arguments)])
    assert result.exit_code == expect, result.output
    return result.output


def make_folder(root):
    arguments = ["--output_dir", root, "--num_images", SAMPLES, "--seed", 5, "--extras", EXTRAS]
    result = CliRunner().invoke(generate, [*map(str, arguments), "--workers", "1"])
    assert result.exit_code == 0, result.output
    return root


def make_shards(root, folder):
    """The same samples, as a run with --format webdataset writes them."""
    dataset = Dataset(folder)
    extras = tuple(dataset.card["recipe"]["extras"])
    settings = {"format": "webdataset", "samples_per_tar": A_SHARD}
    run = RunConfig(root, SAMPLES, seed=5, extras=extras, **settings)
    card = dataset.card | settings
    writer = ShardWriter(LocalTarget(root), card, run)
    writer.open()
    for start in range(0, SAMPLES, A_SHARD):
        indices = range(start, min(start + A_SHARD, SAMPLES))
        with writer.sink.open(indices) as add:
            for stored in dataset.samples(indices):
                images = {name: stored.image(name) for name in dataset.folders}
                add([Sample(stored.index, images, stored.annotation)], [])
    writer.write_index()
    writer.close()
    return root


def contents(root):
    """Every file by its name."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def copied(root, target):
    shutil.copytree(root, target)
    return target


def edit(path, change):
    """Change a JSON file: change(record) returns None or another record."""
    record = json.loads(path.read_text())
    path.write_text(json.dumps(change(record) or record))
