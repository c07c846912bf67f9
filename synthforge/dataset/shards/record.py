"""What a shard is: a range of samples in one tar file, and the record beside it.

shards/000012.tar    samples 12 * shard_size and on, by index, as the webdataset library reads them
records/000012.json  written after it: a shard without its record is not there
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from synthforge.dataset.folder import ANNOTATIONS, MOST_JSON_BYTES, parse_record, sample_name, told
from synthforge.dataset.target import Target

SHARDS, RECORDS, REJECTED = "shards", "records", "rejections"
INDEX = "index.json"

# Read at once: a store takes tens of milliseconds for each.
_READERS = 16
_BLOCK = 256


@dataclass(frozen=True)
class Record:
    """Contents of records/000012.json.

    start, stop: the range of indices that was drawn. given_up: those of them that the quality gate
    rejected max_attempts times; the shard lacks them. max_attempts: 0 if there are none.
    size_bytes, sha256: of the tar file.
    offsets: where each sample begins in it, ascending by index, and where the last one ends.
    recipe: fingerprint of the dataset's.
    """

    start: int
    stop: int
    samples: int
    size_bytes: int
    sha256: str
    given_up: list[int]
    max_attempts: int
    offsets: list[int]
    recipe: str

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def parse(cls, content: bytes) -> Record:
        """Raises ValueError for anything but what `encode` writes."""
        fields = parse_record(content)
        if fields.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("other keys")
        record = cls(**fields)
        numbers = (
            record.start,
            record.stop,
            record.samples,
            record.size_bytes,
            record.max_attempts,
        )
        lists = (record.given_up, record.offsets)
        if not (
            all(map(_is_count, numbers))
            and all(isinstance(values, list) and all(map(_is_count, values)) for values in lists)
            and isinstance(record.sha256, str)
            and isinstance(record.recipe, str)
        ):
            raise ValueError("values of another kind")
        rising = all(a < b for values in lists for a, b in itertools.pairwise(values))
        if not (
            rising
            and record.given_up == [i for i in record.given_up if record.start <= i < record.stop]
            and record.samples == record.stop - record.start - len(record.given_up)
            and len(record.offsets) == record.samples + 1
            and record.offsets[0] == 0
            and record.offsets[-1] < record.size_bytes
        ):
            raise ValueError("values that do not agree")
        return record

    @property
    def indices(self) -> list[int]:
        """Numbers of its samples, ascending."""
        lacking = set(self.given_up)
        return [index for index in range(self.start, self.stop) if index not in lacking]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def encode_index(shards: Iterable[tuple[int, Record]]) -> bytes:
    """index.json of the shards' numbers, ascending, and records."""
    samples, rows = 0, []
    for number, record in shards:
        samples += record.samples
        rows.append(
            {
                "file": shard_file(number),
                "first": record.start,
                "samples": record.samples,
                "bytes": record.size_bytes,
                "sha256": record.sha256,
            }
        )
    return json.dumps({"samples": samples, "shards": rows}, indent=1).encode() + b"\n"


def shard_file(number: int) -> str:
    return f"{SHARDS}/{number:06d}.tar"


def record_file(number: int) -> str:
    return f"{RECORDS}/{number:06d}.json"


def rejected_file(number: int) -> str:
    return f"{REJECTED}/{number:06d}.jsonl"


def whole_shards(target: Target, within: range | None = None) -> Iterator[tuple[int, Record]]:
    """Numbers, ascending, and records of the shards that are there with their whole file.

    within: the numbers to look at; all if None.
    Raises DatasetError if the target cannot be read.
    """
    with told(f"cannot read {target.where()}", "correct this or give another folder"):
        sizes = target.sizes(SHARDS)
        numbers = sorted(
            number
            for number in _numbers(target.sizes(RECORDS))
            if within is None or number in within
        )
        with ThreadPoolExecutor(_READERS) as readers:
            for start in range(0, len(numbers), _BLOCK):
                block = numbers[start : start + _BLOCK]
                files = map(record_file, block)
                for number, content in zip(block, readers.map(target.read, files), strict=True):
                    try:
                        record = Record.parse(content)
                    except ValueError:
                        continue
                    if sizes.get(shard_file(number).rpartition("/")[2]) == record.size_bytes:
                        yield number, record


def _numbers(sizes: Mapping[str, int]) -> Iterator[int]:
    """Of shards, from the names of records; other files and huge ones are passed over."""
    for name, size in sizes.items():
        stem = name.removesuffix(".json")
        named = stem.isdecimal() and f"{RECORDS}/{name}" == record_file(int(stem))
        if named and size <= MOST_JSON_BYTES:
            yield int(stem)


def fingerprint(recipe: Mapping[str, Any], shard_size: int) -> str:
    """Differs where samples or their distribution over shards do."""
    text = json.dumps([recipe, shard_size], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def member(folder: str) -> str:
    """What follows the sample's name: `000123.png` is the image, `000123.seg.png` the regions."""
    if folder == ANNOTATIONS:
        return "json"
    return "png" if folder == "images" else f"{folder}.png"


def in_order(folders: Sequence[str]) -> list[str]:
    """The image, then labels by name: --extras a,b and b,a make the same bytes."""
    return sorted(folders, key=lambda folder: (folder != "images", folder))


def pack(index: int, files: Mapping[str, bytes]) -> bytes:
    """A sample's files by folder -> its part of a tar file, in the order given."""
    blocks = []
    for folder, content in files.items():
        header = tarfile.TarInfo(f"{sample_name(index)}.{member(folder)}")
        header.size = len(content)
        blocks += [header.tobuf(tarfile.USTAR_FORMAT), content, bytes(-len(content) % 512)]
    return b"".join(blocks)


def unpack(index: int, content: bytes) -> dict[str, bytes]:
    """A sample's files by what follows its name. Raises ValueError if it is not what was packed."""
    files, place = {}, 0
    while place < len(content):
        try:
            header = tarfile.TarInfo.frombuf(content[place : place + 512], "utf-8", "strict")
        except (tarfile.TarError, UnicodeError) as error:
            raise ValueError("no header of a tar file") from error
        name, _, ending = header.name.partition(".")
        end = place + 512 + header.size
        if name != sample_name(index) or not header.isreg() or end > len(content):
            raise ValueError("a header of something else")
        files[ending] = content[place + 512 : end]
        place = end + -header.size % 512
    return files


def tar_end(size: int) -> bytes:
    """What ends a tar file of that many bytes: two empty blocks, then up to a whole record."""
    return bytes(1024 + -(size + 1024) % tarfile.RECORDSIZE)
