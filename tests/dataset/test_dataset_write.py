"""Files whole or not at all, the annotation last; what a writer refuses."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from support_dataset import CARD, make, open_writer, sample

from synthforge.dataset import claims, sink, write
from synthforge.dataset.claims import SILENCE_S
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.read import Dataset
from synthforge.dataset.scan import sample_indices
from synthforge.dataset.write import DatasetWriter
from synthforge.labels import CORE


def test_round_trip_is_exact(tmp_path):
    recipe = CARD["recipe"] | {"extras": ["depth16"]}
    writer = open_writer(tmp_path / "out", ["depth16"], recipe)
    written = sample(7, extras=["depth16"])
    writer.sink.write(written)
    writer.close()
    dataset = Dataset(tmp_path / "out")
    assert dataset.indices == [7]
    for folder, image in written.files.items():
        stored = dataset.image(folder, 7)
        assert stored.dtype == image.dtype
        np.testing.assert_array_equal(stored, image)
    read = np.array(dataset.annotation(7)["2d_kps"], np.float32)
    np.testing.assert_array_equal(read, written.annotation["2d_kps"])


def test_layout_is_the_published_one(tmp_path):
    writer = open_writer(tmp_path)
    writer.sink.write(sample(3))
    writer.close()
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert files == [
        "annotations/000003.json",
        "dataset.json",
        "depth/000003.png",
        "images/000003.png",
        "seg/000003.png",
    ]
    assert cv2.imread(str(tmp_path / "seg/000003.png"), cv2.IMREAD_UNCHANGED).shape == (8, 8, 3)


@pytest.mark.parametrize("fails_at", range(1, 5))
def test_a_sample_cut_short_leaves_no_annotation_and_no_torn_file(tmp_path, monkeypatch, fails_at):
    writer = open_writer(tmp_path)
    replace, calls = os.replace, []

    def flaky(source, target):
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", flaky)
    with pytest.raises(DatasetError, match="No space left"):
        writer.sink.write(sample(0))
    assert not len(sample_indices(tmp_path))
    # Loaders list images/: one may stand there without its labels in the last step only.
    assert (tmp_path / "images/000000.png").exists() == (fails_at == 4)
    for path in tmp_path.glob("*/000000.png"):
        assert cv2.imread(str(path)) is not None
    monkeypatch.undo()
    again = open_writer(tmp_path)
    again.sink.write(sample(0))
    assert sample_indices(tmp_path).tolist() == [0]


@pytest.mark.parametrize("name", ["images", "annotations", "depth16", ".partial"])
def test_a_file_in_a_folders_place_is_refused(tmp_path, name):
    open_writer(tmp_path).close()
    shutil.rmtree(tmp_path / name, ignore_errors=True)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DatasetError, match=f"{name} is a file; move it away"):
        DatasetWriter(tmp_path, CARD, ["depth16"]).check_room(1)


def test_an_unwritable_folder_inside_is_told_before_work(tmp_path):
    open_writer(tmp_path).close()
    (tmp_path / "seg").rmdir()
    (tmp_path / "seg").symlink_to("/proc")
    with pytest.raises(DatasetError, match=r"cannot write to .*seg"):
        DatasetWriter(tmp_path, CARD).check_room(1)


def test_hidden_files_are_nothing(tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"x")
    writer = open_writer(tmp_path)
    writer.sink.write(sample(0))
    assert sample_indices(tmp_path).tolist() == [0]


def test_another_recipe_is_refused_by_name_and_values(tmp_path):
    recipe = {"seed": 1, "yaw": {"low": -1, "high": 1}}
    make(tmp_path, 0, recipe=recipe)
    other = {"seed": 2, "yaw": {"low": -0.5, "high": 1}}
    with pytest.raises(DatasetError) as error:
        DatasetWriter(tmp_path, {"recipe": other})
    assert "another seed (1, now 2), yaw (-1 to 1, now -0.5 to 1); give the same settings" in str(
        error.value
    )
    DatasetWriter(tmp_path, {"recipe": recipe, "version": "y"})


def test_another_recipe_is_taken_while_there_is_no_sample(tmp_path):
    other = {"recipe": {"seed": 2}}
    open_writer(tmp_path).close()
    writer = DatasetWriter(tmp_path, other)
    writer.open()
    assert json.loads((tmp_path / "dataset.json").read_text()) == other
    with pytest.raises(DatasetError, match=r"a run on \S+ is at work in .* with another seed"):
        DatasetWriter(tmp_path, CARD)
    writer.close()
    DatasetWriter(tmp_path, CARD)


def test_only_plans_of_the_same_recipe_are_kept(tmp_path):
    def planned(card, *parts):
        writer = DatasetWriter(tmp_path, card | {"planned": list(parts)})
        writer.open()
        writer.close()
        return json.loads((tmp_path / "dataset.json").read_text())["planned"]

    assert planned(CARD, [0, 1000]) == [[0, 1000]]
    assert planned({"recipe": {"seed": 2}}, [0, 10]) == [[0, 10]]
    assert planned({"recipe": {"seed": 2}}, [20, 30]) == [[0, 10], [20, 30]]


def test_plans_of_runs_that_begin_at_once_are_kept(tmp_path, monkeypatch):
    make(tmp_path, 0)
    writers = [DatasetWriter(tmp_path, CARD | {"planned": [[n, n + 1]]}) for n in (3, 5)]
    real, both = write.read_card, threading.Barrier(2)

    def read(target):
        card = real(target)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # for the other to have read as well, if it can
        return card

    monkeypatch.setattr(write, "read_card", read)
    with ThreadPoolExecutor(2) as runs:
        list(runs.map(DatasetWriter.open, writers))
    assert json.loads((tmp_path / "dataset.json").read_text())["planned"] == [[3, 4], [5, 6]]


def test_other_extras_do_not_hide_the_samples(tmp_path):
    make(tmp_path, 0, recipe={"seed": 1})
    with pytest.raises(DatasetError, match="another seed"):
        DatasetWriter(tmp_path, {"recipe": {"seed": 2}}, ["depth16"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_card_holds_finite_numbers_only(tmp_path, value):
    with pytest.raises(DatasetError, match="reject_px holds no finite"):
        DatasetWriter(tmp_path, {"recipe": {"reject_px": value}})


@pytest.mark.parametrize(("free", "said"), [(2_500_000, "2 MB free"), (2.5e9, "2.5 GB free")])
def test_a_full_disk_is_told_before_work(tmp_path, monkeypatch, free, said):
    usage = namedtuple("usage", "free")(free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DatasetError, match=f"{said} and the images need about 3.0 GB"):
        DatasetWriter(tmp_path, CARD).check_room(5000)


def test_two_writers_at_once_do_not_hurt_each_other(tmp_path):
    first = open_writer(tmp_path)
    first.sink.write(sample(0))
    second = open_writer(tmp_path)
    first.sink.write(sample(1))
    second.sink.write(sample(1))
    second.sink.write(sample(2))
    first.log_rejections([{"index": 1}])
    second.log_rejections([{"index": 2}])
    first.close()
    second.sink.write(sample(3))
    second.close()
    assert Dataset(tmp_path).indices == [0, 1, 2, 3]
    assert (tmp_path / "rejections.jsonl").read_text() == '{"index": 1}\n{"index": 2}\n'
    assert not (tmp_path / ".partial").exists()


def test_a_log_is_not_rewritten_under_another_run(tmp_path):
    another_host_is_at_work(tmp_path)
    log = tmp_path / "rejections.jsonl"
    log.write_text('{"index": 1}\n{"ind')
    open_writer(tmp_path).close()
    assert log.read_text() == '{"index": 1}\n{"ind'


def test_a_samples_bytes_do_not_depend_on_the_run(tmp_path):
    def contents(root):
        return {path.parent.name + path.name: path.read_bytes() for path in root.glob("*/*.*")}

    make(tmp_path / "a", 0, 1, 2)
    writer = open_writer(tmp_path / "b")
    threads = [threading.Thread(target=writer.sink.write, args=[sample(i)]) for i in (2, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(contents(tmp_path / "a")) == 12


def test_every_file_is_on_the_disk_before_one_has_its_name(tmp_path, monkeypatch):
    writer, order = open_writer(tmp_path), []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("flush"), fsync(file)))
    monkeypatch.setattr(
        os, "replace", lambda a, b: (order.append(Path(b).parent.name), replace(a, b))
    )
    writer.sink.write(sample(0))
    assert order == [*["flush"] * 4, "seg", "depth", "images", "annotations"]


# --- Runs side by side ----------------------------------------------------------------------------


def another_host_is_at_work(root, silence_s=0):
    """What a run on another machine that shares the folder leaves there."""
    claim = root / ".partial" / "node7_another-boot_1_1_abcd"
    claim.mkdir(parents=True)
    (claim / ".000009.png.1234.partial").write_bytes(b"x")
    then = claim.stat().st_mtime - silence_s
    os.utime(claim, (then, then))
    return claim


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    for name in ("flock", "lockf", "fcntl"):
        monkeypatch.setattr(fcntl, name, refuse)


@pytest.mark.usefixtures("no_locks")
def test_another_hosts_unfinished_files_are_left_alone(tmp_path):
    claim = another_host_is_at_work(tmp_path, SILENCE_S - 60)
    make(tmp_path, 0)
    assert len(list(claim.iterdir())) == 1
    silent = claim.stat().st_mtime - 120
    os.utime(claim, (silent, silent))
    make(tmp_path, 1)
    assert not (tmp_path / ".partial").exists()


@pytest.mark.usefixtures("no_locks")
def test_without_a_sample_other_settings_wait_for_a_living_run_only(tmp_path):
    make(tmp_path)
    claim = another_host_is_at_work(tmp_path)
    with pytest.raises(DatasetError, match=r"a run on node7 is at work .* delete .*\.partial"):
        DatasetWriter(tmp_path, {"recipe": {"seed": 2}})
    DatasetWriter(tmp_path, CARD)
    silent = claim.stat().st_mtime - SILENCE_S - 60
    os.utime(claim, (silent, silent))
    make(tmp_path, 0, recipe={"seed": 2})


@pytest.mark.parametrize("links", [True, False])
def test_of_runs_with_other_settings_that_start_at_once_one_goes_on(tmp_path, monkeypatch, links):
    if not links:  # then the claims alone must tell
        make(tmp_path)
        monkeypatch.setattr(os, "link", lambda *_: os.stat("/nowhere"))
    writers = [DatasetWriter(tmp_path, {"recipe": {"seed": seed}}) for seed in range(8)]
    won, barrier = [], threading.Barrier(len(writers))

    def start(writer):
        barrier.wait()
        try:
            writer.open()
        except DatasetError:
            return
        won.append(writer)

    threads = [threading.Thread(target=start, args=[writer]) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 if links else len(won) <= 1  # they may all give way to each other
    card = json.loads((tmp_path / "dataset.json").read_text())
    for writer in won:
        assert card == {"recipe": {"seed": writers.index(writer)}}
        assert list((tmp_path / ".partial").iterdir()) == [writer._claim]


def test_a_card_is_not_written_over_one_that_came_in_the_last_moment(tmp_path, monkeypatch):
    late = DatasetWriter(tmp_path, {"recipe": {"seed": 2}})

    def before(name):
        real = getattr(os, name)

        def meanwhile(source, target):
            if Path(target) == tmp_path / "dataset.json":
                monkeypatch.undo()
                open_writer(tmp_path)
            real(source, target)

        monkeypatch.setattr(os, name, meanwhile)

    before("link")
    before("replace")
    with pytest.MonkeyPatch.context() as unlocked:  # as where a lock is not kept
        unlocked.setattr(claims, "_LOOKS", 1)
        with pytest.raises(DatasetError, match=r"is at work in .* with another seed"):
            late.open()
    assert json.loads((tmp_path / "dataset.json").read_text())["recipe"]["seed"] == 1


@pytest.mark.parametrize("step", ["before", "open", "flush", "name", "stale"])
def test_a_writer_whose_folder_is_removed_goes_on(tmp_path, monkeypatch, step):
    """Another host took it for dead, for instance while it was suspended."""
    writer = open_writer(tmp_path)

    def remove(*_):
        monkeypatch.undo()
        shutil.rmtree(tmp_path / ".partial")

    def then(module, name, code=None):
        real = getattr(module, name)

        def removed(*args):
            remove()
            if code:
                raise OSError(code, os.strerror(code))
            return real(*args)

        monkeypatch.setattr(module, name, removed)

    if step == "before":
        remove()
    elif step == "open":
        then(sink, "write_together")
    elif step == "flush":
        then(os, "fsync")
    elif step == "name":
        then(os, "replace")
    else:
        then(os, "fsync", errno.ESTALE)
    writer.sink.write(sample(0))
    writer.log_rejections([{"index": 1}])
    writer.close()
    assert Dataset(tmp_path).indices == [0]
    assert not (tmp_path / ".partial").exists()


def test_a_writer_whose_folder_went_to_other_settings_stops(tmp_path):
    writer = open_writer(tmp_path)
    shutil.rmtree(tmp_path / ".partial")
    make(tmp_path, 5, recipe={"seed": 2})
    with pytest.raises(DatasetError, match="another seed"):
        writer.sink.write(sample(0))
    assert Dataset(tmp_path).indices == [5]


def test_a_full_disk_is_not_tried_again(tmp_path, monkeypatch):
    writer, calls = open_writer(tmp_path), []

    def full(*_):
        calls.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match="No space left"):
        writer.sink.write(sample(0))
    assert len(calls) == 1
    assert not list(writer._claim.iterdir())


_WRITE = """
import sys
from pathlib import Path
from support_dataset import open_writer, sample
writer = open_writer(Path(sys.argv[1]))
for index in range(int(sys.argv[2]), int(sys.argv[3])):
    writer.sink.write(sample(index))
    print(index, flush=True)
writer.close()
"""


def start_writing(root, first, end):
    tests = str(Path(__file__).parent.parent)
    path = os.pathsep.join([tests, str(Path(tests).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", _WRITE, str(root), str(first), str(end)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once_make_one_dataset(tmp_path):
    runs = [start_writing(tmp_path, *part) for part in ((0, 30), (20, 50))]
    for run in runs:
        run.communicate()
    assert [run.returncode for run in runs] == [0, 0]
    dataset = Dataset(tmp_path)
    assert dataset.indices == list(range(50))
    for index in dataset.indices:
        np.testing.assert_array_equal(dataset.image("images", index), sample(index).files["images"])
    assert not (tmp_path / ".partial").exists()


@pytest.mark.parametrize("recipe", [CARD["recipe"], {"seed": 2}])
def test_a_run_that_begins_meanwhile_is_no_foreign_folder(tmp_path, monkeypatch, recipe):
    look = write.check_samples

    def slow_look(*arguments):
        monkeypatch.setattr(write, "check_samples", look)
        make(tmp_path, 0, recipe=recipe)
        look(tmp_path, CORE, np.empty(0, np.int64), None)  # what was complete before

    monkeypatch.setattr(write, "check_samples", slow_look)
    if recipe == CARD["recipe"]:
        DatasetWriter(tmp_path, CARD)
    else:
        with pytest.raises(DatasetError, match="another seed"):
            DatasetWriter(tmp_path, CARD)


def test_what_a_killed_process_left_is_cleared_and_the_rest_is_written(tmp_path):
    killed = start_writing(tmp_path, 0, 10_000)
    for _ in range(5):
        killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (claim,) = (tmp_path / ".partial").iterdir()
    (claim / ".000009.png.1234.partial").write_bytes(b"x")
    writer = open_writer(tmp_path)
    assert {*writer.there.tolist()} >= set(range(5))
    for index in set(range(50)) - {*writer.there.tolist()}:
        writer.sink.write(sample(index))
    if Path("/proc/self/ns/pid").exists():
        assert not claim.exists()
    writer.close()
    for index in range(50):
        stored = Dataset(tmp_path).image("images", index)
        np.testing.assert_array_equal(stored, sample(index).files["images"])


def test_annotations_are_flat_json(tmp_path):
    writer = open_writer(tmp_path)
    writer.sink.write(sample(1))
    stored = json.loads((tmp_path / "annotations/000001.json").read_text())
    assert stored["index"] == 1
    assert np.array(stored["2d_kps"]).shape == (68, 2)


def test_a_log_line_cut_short_is_dropped_and_none_is_written_twice(tmp_path):
    first, second = {"index": 1, "value": 2.5}, {"index": 2, "value": 0.1}
    writer = open_writer(tmp_path)
    writer.log_rejections([first])
    writer.close()
    log = tmp_path / "rejections.jsonl"
    log.write_text(log.read_text() + '{"index": 2, "va')
    open_writer(tmp_path).log_rejections([first, second])
    assert [json.loads(line) for line in log.read_text().splitlines()] == [first, second]
