"""Which shards a run adds, and what a writer refuses."""

import contextlib
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest
from support_dataset import CARD, make, open_writer
from support_shards import SIZE, contents, empty_memory, fill, make_shards, shard_writer

from synthforge.config import RunConfig
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.shards import write
from synthforge.dataset.shards.write import ShardWriter
from synthforge.dataset.target import LocalTarget
from synthforge.dataset.write import DatasetWriter
from synthforge.errors import ConfigError
from synthforge.plan import plan


@pytest.fixture(params=["disk", "memory"])
def where(request, tmp_path):
    empty_memory()
    return tmp_path / "a" if request.param == "disk" else "memory://a"


def missing(writer, run_stop=7):
    return [*plan(range(run_stop), writer.there, SIZE)]


def test_what_is_there_is_not_planned_again(where):
    assert missing(shard_writer(where)) == [range(3), range(3, 6), range(6, 7)]
    writer = shard_writer(where)
    writer.open()
    fill(writer, range(3, 6))
    writer.close()
    assert missing(shard_writer(where)) == [range(3), range(6, 7)]
    made = contents(make_shards(where))
    assert missing(shard_writer(where)) == []
    assert contents(make_shards(where)) == made


def test_a_short_last_shard_is_drawn_as_a_whole_where_the_dataset_grows(where):
    make_shards(where, 7)
    assert missing(shard_writer(where, 5), 5) == []
    assert missing(shard_writer(where, 8), 8) == [range(6, 8)]
    grown = contents(make_shards(where, 11))
    empty_memory()
    other = "memory://other"
    assert grown.keys() == contents(make_shards(other, 11)).keys()
    assert grown == contents(other)


def test_an_index_that_was_given_up_is_drawn_again_by_more_attempts_only(where):
    writer = shard_writer(where, max_attempts=2)
    writer.open()
    fill(writer, range(3), lacking=[1])
    for attempts in (1, 2):
        again = shard_writer(where, max_attempts=attempts)
        assert (again.there.tolist(), again.given_up) == ([0, 1, 2], [1])
    more = shard_writer(where, max_attempts=3)
    assert (more.there.tolist(), more.given_up) == ([], [])
    shorter = shard_writer(where, 2, max_attempts=3)  # it would lose sample 2
    assert shorter.there.tolist() == [0, 1, 2]


def test_a_run_reads_the_records_of_its_own_shards_only(tmp_path, monkeypatch):
    make_shards(tmp_path, 12)
    kind, reads = LocalTarget, []
    real = kind.read
    monkeypatch.setattr(kind, "read", lambda *args: reads.append(args[1]) or real(*args))
    assert shard_writer(tmp_path, 5, start_index=3).there.tolist() == [*range(3, 9)]
    assert reads == ["records/000001.json", "records/000002.json"]
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(DatasetError, match=r"000000\.tar was made with other settings"):
        shard_writer(tmp_path, 5, start_index=3, recipe={"seed": 2})


def test_the_index_names_all_shards(where):
    make_shards(where)
    files = contents(where)
    index = json.loads(files["index.json"])
    assert index["samples"] == 7
    assert [shard["first"] for shard in index["shards"]] == [0, 3, 6]
    for number, shard in enumerate(index["shards"]):
        record = json.loads(files[f"records/{number:06d}.json"])
        assert shard["file"] == f"shards/{number:06d}.tar"
        assert (shard["bytes"], shard["sha256"]) == (record["size_bytes"], record["sha256"])
        assert shard["bytes"] == len(files[shard["file"]])


def test_the_index_is_written_only_where_it_is_another(tmp_path, monkeypatch):
    make_shards(tmp_path)
    writer = shard_writer(tmp_path)
    monkeypatch.setattr(type(writer.target), "replacing", None)
    writer.write_index()
    (tmp_path / "records" / "000002.json").unlink()
    with pytest.raises(TypeError):
        writer.write_index()


def test_the_index_names_shards_that_another_run_ends_meanwhile(where, monkeypatch):
    make_shards(where, 3)
    first, second = shard_writer(where, 6), shard_writer(where)
    first.open()
    second.open()
    fill(first, range(3, 6))
    write, ended = type(first)._write, []

    def late(self, name, content):
        if self is first and not ended:
            ended.append(second)
            fill(second, range(6, 7))
            second.write_index()
        write(self, name, content)

    monkeypatch.setattr(type(first), "_write", late)
    first.write_index()
    assert json.loads(contents(where)["index.json"])["samples"] == 7
    first.close()
    second.close()


OTHERS = [
    ({"recipe": {"seed": 2, "range": (0, 1)}}, r"another seed \(1, now 2\);"),
    ({"recipe": {"seed": 1, "range": (0, 2)}}, "another range"),
    ({"extras": ("uv",)}, "another extras"),
    ({"size": 4}, r"another samples_per_tar \(3, now 4\)"),
]


@pytest.mark.parametrize(("settings", "said"), OTHERS)
def test_another_recipe_is_refused(where, settings, said):
    make_shards(where)
    before = contents(where)
    with pytest.raises(DatasetError, match=f"holds a dataset made with {said}"):
        shard_writer(where, **settings)
    assert contents(where) == before


def test_another_recipe_is_refused_also_while_there_is_no_shard(where):
    writer = shard_writer(where)
    writer.open()
    writer.close()
    with pytest.raises(DatasetError, match="another seed"):
        shard_writer(where, recipe={"seed": 2})
    shard_writer(where)


def test_a_lost_card_is_written_again_for_the_same_recipe_only(where):
    made = contents(make_shards(where))
    if isinstance(where, str):
        fsspec.filesystem("memory").rm("/a/dataset.json")
    else:
        (where / "dataset.json").unlink()
    with pytest.raises(DatasetError, match=r"shards/000000\.tar was made with other settings"):
        shard_writer(where, recipe={"seed": 5})
    make_shards(where)
    assert contents(where) == made


def test_a_shard_of_another_recipe_is_told(tmp_path):
    make_shards(tmp_path / "a")
    make_shards(tmp_path / "b", recipe={"seed": 9})
    for folder in ("shards", "records"):
        name = {"shards": "000001.tar", "records": "000001.json"}[folder]
        shutil.copy(tmp_path / "b" / folder / name, tmp_path / "a" / folder / name)
    with pytest.raises(DatasetError, match=r"000001\.tar was made with other settings"):
        shard_writer(tmp_path / "a")


def test_of_two_runs_with_other_settings_that_start_at_once_one_stops(where):
    first, second = shard_writer(where), shard_writer(where, recipe={"seed": 2})
    first.open()
    with pytest.raises(DatasetError, match="another seed"):
        second.has_card = True
        second.open()
    first.close()


@pytest.mark.parametrize("name", ["holiday.jpg", "README.md", "images/000000.png"])
def test_a_foreign_folder_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DatasetError, match="so it is no dataset of shards"):
        shard_writer(tmp_path)


def test_the_other_format_is_refused_both_times(tmp_path):
    make(tmp_path / "folder", 0)
    with pytest.raises(DatasetError, match=r"another format \(folder, now webdataset\)"):
        shard_writer(tmp_path / "folder")
    make_shards(tmp_path / "shards")
    before = contents(tmp_path / "shards")
    recipe = {"seed": 1, "range": (0, 1)}
    with pytest.raises(DatasetError, match="holds a dataset of --format webdataset; give that"):
        DatasetWriter(tmp_path / "shards", {"recipe": recipe})
    with pytest.raises(DatasetError, match="--format webdataset"):
        open_writer(tmp_path / "shards", recipe={"seed": 3})
    assert contents(tmp_path / "shards") == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_card_holds_finite_numbers_only(tmp_path, value):
    with pytest.raises(DatasetError, match="reject_px holds no finite"):
        shard_writer(tmp_path, recipe={"reject_px": value})


def test_a_store_that_fails_is_told_in_one_line(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("Unable to locate credentials")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "ls", fails)
    said = r"^cannot read memory://a: Unable to locate credentials; give another --output_dir$"
    with pytest.raises(DatasetError, match=said):
        shard_writer("memory://a")


def test_a_run_begins_with_a_whole_shard():
    with pytest.raises(ConfigError, match=r"--start_index 1500 is in the middle of a shard"):
        RunConfig("memory://a", 1, start_index=1500, format="webdataset")
    RunConfig("memory://a", 1, start_index=2000, format="webdataset")


def test_a_closed_writer_has_no_sink(tmp_path):
    writer = shard_writer(tmp_path)
    writer.open()
    writer.close()
    with pytest.raises(ValueError, match="not open"):
        writer.sink  # noqa: B018


def writer_of(where, monkeypatch, planned):
    monkeypatch.setitem(CARD, "planned", [planned])
    return shard_writer(where)


def planned_of(where):
    return json.loads(contents(where)["dataset.json"])["planned"]


@pytest.mark.parametrize("is_new", [True, False])
def test_plans_of_runs_that_begin_at_once_are_kept(tmp_path, monkeypatch, is_new):
    if not is_new:
        make_shards(tmp_path)
    writers = [writer_of(tmp_path, monkeypatch, [start, start + 3]) for start in (0, 6)]
    real, both = write.read_card, threading.Barrier(2)

    def read(*arguments):
        card = real(*arguments)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # for the other to have read as well, if it can
        return card

    monkeypatch.setattr(write, "read_card", read)
    with ThreadPoolExecutor(2) as runs:
        list(runs.map(ShardWriter.open, writers))
    assert planned_of(tmp_path) == [[0, 3], [6, 9]]


def test_a_plan_that_another_run_wrote_over_is_there_at_the_end(where, monkeypatch):
    """A store has nothing that lets one run wait for another."""
    other = writer_of(where, monkeypatch, [6, 9])
    writer = writer_of(where, monkeypatch, [0, 3])
    writer.open()
    other._write("dataset.json", json.dumps(other._card).encode())
    writer.close()
    writer.write_index()
    assert planned_of(where) == [[0, 3], [6, 9]]
