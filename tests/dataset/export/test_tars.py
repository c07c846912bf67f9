from dataclasses import replace

from support_export import dataset_of, face, written
from support_shards import contents, shard_writer

from synthforge.dataset.export import tars
from synthforge.dataset.read import Dataset
from synthforge.dataset.shards.record import Record


def test_the_bytes_of_a_run_that_writes_shards(tmp_path):
    writer = shard_writer(tmp_path / "run", 5, size=3)
    writer.open()
    for indices in (range(3), range(3, 5)):
        with writer.sink.open(indices) as add:
            add([face(index) for index in indices], [])
    writer.write_index()
    writer.close()
    made = contents(tmp_path / "run")

    dataset = dataset_of(tmp_path / "d", *range(5))
    dataset.card["samples_per_tar"] = 3
    folder = contents(written(tars, dataset, tmp_path / "tars"))
    assert folder.keys() == made.keys()
    assert {name for name in made if folder[name] != made[name]} <= {
        "dataset.json",
        "records/000000.json",
        "records/000001.json",
    }  # the recipes differ
    for name in ("records/000000.json", "records/000001.json"):
        ours, theirs = (Record.parse(files[name]) for files in (folder, made))
        own = {"recipe": ours.recipe, "max_attempts": ours.max_attempts}
        assert ours == replace(theirs, **own)


def test_it_is_a_dataset_with_the_same_samples(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0, 1, 4, 9, extras=("uv",))
    dataset.card["samples_per_tar"] = 4
    again_at = written(tars, dataset, tmp_path / "tars")
    again = Dataset(again_at)
    assert again.indices == [0, 1, 4, 9]
    for one, other in zip(dataset.samples(), again.samples(), strict=True):
        assert dict(one.files) == dict(other.files)
        found = again.sample(one.index, ("images", "uv"))
        assert all(found.files[name] == one.files[name] for name in ("images", "uv"))
    records = [Record.parse(path.read_bytes()) for path in sorted((again_at / "records").iterdir())]
    assert [(record.start, record.stop, record.given_up) for record in records] == [
        (0, 2, []),
        (4, 5, []),
        (8, 10, [8]),
    ]
