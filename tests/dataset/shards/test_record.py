"""A shard is one tar file of a fixed form, and a record that is checked when it is read."""

import dataclasses
import io
import json
import tarfile

import pytest
from support_dataset import sample
from support_shards import make_shards, shard_writer

from synthforge.dataset.sample import encode_sample
from synthforge.dataset.shards.record import Record, fingerprint, pack, tar_end, unpack
from synthforge.dataset.target import open_target

FILES = encode_sample(sample(12), ["images", "depth", "seg", "annotations"])
NAMES = ["000012.png", "000012.depth.png", "000012.seg.png", "000012.json"]
RECORD = Record(
    **{"start": 6, "stop": 9, "samples": 2, "size_bytes": 4096, "sha256": "ab", "recipe": "cd"},
    **{"given_up": [7], "max_attempts": 3, "offsets": [0, 1024, 2048]},
)


def test_packed_samples_are_a_tar_file_without_a_trace_of_time_and_owner():
    packed = pack(12, FILES)
    whole = packed + tar_end(len(packed))
    with tarfile.open(fileobj=io.BytesIO(whole), mode="r:") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == NAMES
        for member, content in zip(members, FILES.values(), strict=True):
            assert tar.extractfile(member).read() == content
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
            assert (member.mode, member.type) == (0o644, tarfile.REGTYPE)
    with io.BytesIO() as again:
        with tarfile.open(fileobj=again, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for member, content in zip(members, FILES.values(), strict=True):
                tar.addfile(member, io.BytesIO(content))
        assert again.getvalue() == whole


def test_a_packed_sample_is_unpacked_to_the_same():
    unpacked = unpack(12, pack(12, FILES))
    assert [*unpacked] == ["png", "depth.png", "seg.png", "json"]
    assert [*unpacked.values()] == [*FILES.values()]


def damaged_packs():
    packed = pack(12, FILES)
    yield "another sample", pack(13, FILES)
    yield "cut", packed[:700]
    yield "cut in a header", packed[:100]
    yield "zeros", bytes(1024)
    yield "a changed header", b"1" + packed[1:]
    link = tarfile.TarInfo("000012.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    yield "a link", link.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize("case", dict(damaged_packs()))
def test_what_is_no_packed_sample_is_refused(case):
    content = dict(damaged_packs())[case]
    with pytest.raises(ValueError, match=r"a header of something else|no header"):
        unpack(12, content)


def test_a_record_reads_back_as_it_was():
    assert Record.parse(RECORD.encode()) == RECORD
    assert RECORD.indices == [6, 8]


WRONG = [
    *[{"start": -1}, {"start": 2.0}, {"start": True}, {"stop": 8}, {"stop": None}, {"stop": 2**63}],
    *[{"samples": 3}, {"samples": "2"}, {"sha256": 5}, {"recipe": None}, {"size_bytes": 2048}],
    *[{"given_up": [9]}, {"given_up": [5]}, {"given_up": 7}, {"given_up": ["7"]}],
    *[{"offsets": [0, 1024]}, {"offsets": [1, 2, 3]}, {"offsets": [0, 2048, 1024]}],
    *[{"offsets": None}, {"offsets": [0, 1024, 1e3]}, {"more": 1}],
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_record_that_was_changed_is_refused(wrong):
    fields = dataclasses.asdict(RECORD) | wrong
    with pytest.raises(ValueError, match=r"other keys|another kind|do not agree"):
        Record.parse(json.dumps(fields).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"[" * 200_000, b"\xff"])
def test_what_is_no_record_is_refused(content):
    with pytest.raises(ValueError):
        Record.parse(content)


def test_the_fingerprint_is_of_recipe_and_shard_size():
    prints = {fingerprint({"seed": 1}, 3), fingerprint({"seed": 2}, 3), fingerprint({"seed": 1}, 4)}
    assert len(prints) == 3
    assert fingerprint({"a": 1, "b": 2}, 3) == fingerprint({"b": 2, "a": 1}, 3)


DAMAGE = {
    "no tar": ("shards/000001.tar", None),
    "a cut tar": ("shards/000001.tar", b"x" * 512),
    "no record": ("records/000001.json", None),
    "a cut record": ("records/000001.json", b'{"start": 3, "st'),
    "another's record": ("records/000001.json", b"{}"),
    "an empty record": ("records/000001.json", b""),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_shard_is_not_there_and_is_drawn_again_as_a_whole(tmp_path, case):
    make_shards(tmp_path)
    name, content = DAMAGE[case]
    whole = {path: path.read_bytes() for path in tmp_path.glob("*/*")}
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for stray in ("shards/x.tar", "records/x.json", "records/1.json", "records/000009.json~"):
        (tmp_path / stray).write_bytes(b"{}")
    assert shard_writer(tmp_path).there.tolist() == [0, 1, 2, 6]
    make_shards(tmp_path)
    assert {path: path.read_bytes() for path in whole} == whole


def test_a_huge_record_is_not_read(tmp_path, monkeypatch):
    make_shards(tmp_path)
    target = open_target(tmp_path)
    monkeypatch.setattr("synthforge.dataset.shards.record.MOST_JSON_BYTES", 10)
    monkeypatch.setattr(type(target), "read", None)
    assert shard_writer(tmp_path / "new").there.tolist() == []
