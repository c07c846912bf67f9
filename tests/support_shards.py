"""Small datasets of shards."""

import fsspec
from support_dataset import CARD, sample

from synthforge.config import RunConfig
from synthforge.dataset.shards.write import ShardWriter
from synthforge.dataset.target import open_target
from synthforge.plan import plan

SIZE = 3


def empty_memory():
    """Nothing is left at memory://."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]


def shard_writer(where, num_images=7, recipe=CARD["recipe"], size=SIZE, **settings):
    run = RunConfig(where, num_images, format="webdataset", samples_per_tar=size, **settings)
    shards = {"format": "webdataset", "samples_per_tar": size}
    extras = {"extras": sorted(run.extras)} if run.extras else {}
    return ShardWriter(open_target(where), CARD | shards | {"recipe": recipe | extras}, run)


def fill(writer, indices, lacking=(), extras=()):
    """One range into the writer's sink, the samples in descending order."""
    with writer.sink.open(indices) as add:
        for index in reversed(indices):
            if index not in lacking:
                add([sample(index, extras)], [])


def make_shards(where, num_images=7, **settings):
    """A dataset of the samples 0 to num_images; where it is."""
    writer = shard_writer(where, num_images, **settings)
    writer.open()
    for indices in plan(range(num_images), writer.there, SIZE):
        fill(writer, indices, extras=settings.get("extras", ()))
    writer.write_index()
    writer.close()
    return where


def contents(where):
    """Every file by name, whatever the target."""
    target = open_target(where)
    found = {}
    for folder in ("", "shards/", "records/", "rejections/"):
        names = target.sizes(folder.rstrip("/"))
        found |= {folder + name: target.read(folder + name) for name in names}
    return found
