"""Planted damage to shards is found at its samples, and drawn again to the same bytes."""

import hashlib
import json
import shutil

import fsspec
import pytest
from support_shards import empty_memory
from support_verified import A_SHARD, SAMPLES, contents, copied, edit, run

from synthforge.dataset.folder import DatasetError
from synthforge.dataset.shards.record import Record, pack, unpack
from synthforge.dataset.target import open_target
from synthforge.dataset.verify.verify import verify
from synthforge.repair import Repair


@pytest.fixture
def root(whole_shards, tmp_path):
    return copied(whole_shards, tmp_path / "set")


def tar(root, number=0):
    return root / f"shards/{number:06d}.tar"


def record(root, number=0):
    return root / f"records/{number:06d}.json"


def change_tar(change):
    """Damage to the bytes of the tar file only."""
    return lambda root: tar(root).write_bytes(change(tar(root).read_bytes()))


def change_sample(change):
    """Damage to sample 1, after which tar file, record and index agree again."""

    def damage(root):
        known = Record.parse(record(root).read_bytes())
        content, (first, second, end) = tar(root).read_bytes(), known.offsets
        files = change(unpack(1, content[second:end]))
        folders = {"png": "images", "json": "annotations"}
        part = pack(1, {folders.get(k, k.removesuffix(".png")): v for k, v in files.items()})
        content = content[:second] + part + bytes(len(content) - end)
        tar(root).write_bytes(content)
        new = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        new["offsets"] = [first, second, second + len(part)]
        edit(record(root), lambda old: old | new)
        row = {"bytes": new["size_bytes"], "sha256": new["sha256"]}
        edit(root / "index.json", lambda index: index["shards"][0].update(row))
        index = json.loads((root / "index.json").read_text())
        (root / "index.json").write_text(json.dumps(index, indent=1) + "\n")

    return damage


def flip(content):
    return content[:50_000] + bytes([content[50_000] ^ 4]) + content[50_001:]


def without(key):
    return change_sample(lambda files: {k: v for k, v in files.items() if k != key})


def edited(key, change):
    return change_sample(lambda files: files | {key: change(files[key])})


# What is planted -> a part of what is told, and the samples to draw again.
DAMAGES = {
    "a flipped byte": (change_tar(flip), "its SHA-256 is not its record's", range(2)),
    "a cut tar file": (change_tar(lambda c: c[:-512]), "bytes, its record says", range(2)),
    "an empty tar file": (change_tar(lambda c: b""), "has 0 bytes", range(2)),
    "zeros in the middle": (
        change_tar(lambda c: c[:1024] + bytes(4096) + c[5120:]),
        "(000000.png) has changed bytes",
        range(2),
    ),
    "a header overwritten": (
        change_tar(lambda c: bytes(512) + c[512:]),
        "is no part of a tar file of ours",
        range(2),
    ),
    "a tar file removed": (lambda root: tar(root).unlink(), "000000.tar is missing", range(2)),
    "a record removed": (
        lambda root: record(root).unlink(),
        "its shard may be unfinished",
        range(2),
    ),
    "a record cut": (
        lambda root: record(root).write_bytes(record(root).read_bytes()[:99]),
        "records/000000.json cannot be read",
        range(2),
    ),
    "a whole shard removed": (
        lambda root: (tar(root).unlink(), record(root).unlink()),
        "000000-000001  not there",
        range(2),
    ),
    "another recipe": (
        lambda root: edit(record(root), lambda known: known | {"recipe": "x"}),
        "made with other settings",
        range(2),
    ),
    "a record of another shard": (
        lambda root: shutil.copy(record(root, 1), record(root)),
        "records/000000.json is of other samples: 2 to 2",
        range(2),
    ),
    "a picture of another sample": (
        edited("seg_id.png", lambda c: c[:-1]),
        "(000001.seg_id.png) ends early",
        range(1, 2),
    ),
    "a member left out": (without("depth.png"), "(000001.depth.png) is missing", range(1, 2)),
    "NaN in JSON": (
        edited("json", lambda c: c.replace(b'"sex": ', b'"sex": NaN, "x": ')),
        "(000001.json) holds NaN",
        range(1, 2),
    ),
}


def test_undamaged_shards_are_whole(whole_shards):
    before = contents(whole_shards)
    assert f"{SAMPLES} of {SAMPLES} planned samples are whole." in run("verify", whole_shards)
    assert verify(whole_shards, 1).compared == 2
    assert contents(whole_shards) == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found(root, damage):
    plant, told, indices = DAMAGES[damage]
    plant(root)
    report = verify(root, 2)
    lines = [str(problem) for problem in report.problems]
    assert any(told in line for line in lines), lines
    assert report.damaged == [indices]


OTHERS = {
    "a stray file": (
        lambda root: (root / "shards/000000 (1).tar").write_bytes(b"x"),
        "shards/000000 (1).tar is no shard's file",
    ),
    "the index removed": (
        lambda root: (root / "index.json").unlink(),
        "index.json is missing: the command that made the dataset has not ended",
    ),
    "the index changed": (
        lambda root: edit(root / "index.json", lambda index: index | {"samples": 9}),
        "index.json does not agree with the records",
    ),
}


@pytest.mark.parametrize("damage", OTHERS)
def test_damage_outside_of_samples_is_told(root, damage):
    plant, told = OTHERS[damage]
    plant(root)
    report = verify(root, 1)
    assert [told in str(problem) for problem in report.problems] == [True]
    assert not report.damaged


def test_a_url_is_verified(whole_shards):
    empty_memory()
    store = fsspec.filesystem("memory")
    for name, content in contents(whole_shards).items():
        store.pipe_file(f"/faces/{name}", content)
    assert verify("memory://faces", 1).is_whole
    store.pipe_file("/faces/shards/000001.tar", b"")
    assert verify("memory://faces", 1).damaged == [range(2, 3)]
    empty_memory()


def test_fix_draws_the_same_bytes_again(root):
    before = contents(root)
    change_tar(flip)(root)
    (root / "index.json").unlink()
    output = run("verify", root, "--fix")
    assert f"{SAMPLES} of {SAMPLES} planned samples are whole." in output
    assert "another kind of machine" not in output
    assert contents(root) == before


def test_fix_tells_of_a_shard_that_was_recorded_with_other_bytes(root):
    before = contents(root)
    edit(record(root), lambda known: known | {"sha256": "0" * 64})
    output = run("verify", root, "--fix")
    assert f"{A_SHARD} samples were first drawn on another kind of machine" in output
    assert contents(root) == before


def test_an_export_that_begins_inside_a_shard_is_not_drawn_again_there(root):
    edit(root / "dataset.json", lambda card: card | {"planned": [[1, SAMPLES]]})
    repair = Repair(
        open_target(root), json.loads((root / "dataset.json").read_text()), None, 1, str
    )
    before = contents(root)
    with pytest.raises(DatasetError, match="was exported from sample 1 on, in the middle of"):
        repair.draw([range(1, 2)])
    assert contents(root) == before  # not even the damaged shard's record is gone
    size = repair.card["samples_per_tar"]
    assert repair._from_a_shard(range(1, 3 * size), {1}) == range(size, 3 * size)
    assert repair._from_a_shard(range(size, 3 * size), {1}) == range(size, 3 * size)
