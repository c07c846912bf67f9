"""torch.save's files, in both of its formats, and the storages that plain pickles embed.

The zip format holds NAME/data.pkl, and each storage's raw data as NAME/data/KEY. The legacy format
is a stream: four pickles (magic, version, system, object), one with the storages' keys, and then
each storage as an int64 element count and its raw little-endian data. A tensor inside a plain
pickle brings its storage along as a complete stream of that kind.
"""

from __future__ import annotations

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.pickles import parse, parse_whole
from flame_pytorch.reading.records import Call, Persistent
from flame_pytorch.reading.tensors import FindStorage, Storage, storage_reference
from flame_pytorch.reading.values import to_bytes, to_text
from flame_pytorch.reading.zips import Archive

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
# The magic number follows the pickle's protocol and, from protocol 4 on, its frame.
_MAGIC_WITHIN = 32
_PICKLE = "data.pkl"


def is_legacy(data: memoryview) -> bool:
    return _LEGACY_MAGIC.to_bytes(10, "little") in bytes(data[:_MAGIC_WITHIN])


def is_torch_archive(archive: Archive) -> bool:
    return any(name.rpartition("/")[2] == _PICKLE for name in archive.names)


def within_budget(find_storage: FindStorage, budget_bytes: int) -> FindStorage:
    """Finds storages of `budget_bytes` in all: tensors may share a storage, but a hostile file
    could refer to a large one without end."""

    def find(reference: object) -> Storage:
        nonlocal budget_bytes
        storage = find_storage(reference)
        budget_bytes -= len(storage.data)
        if budget_bytes < 0:
            raise FileFormatError("refers to the same tensor storages too often")
        return storage

    return find


def read_archive(archive: Archive) -> tuple[object, FindStorage]:
    """The parsed object of a file in the zip format, and where its storages are.

    Raises FileFormatError.
    """
    pickle = next(name for name in archive.names if name.rpartition("/")[2] == _PICKLE)
    folder = pickle.removesuffix(_PICKLE)
    byteorder = f"{folder}byteorder"
    if byteorder in archive.names and bytes(archive.stored(byteorder)) != b"little":
        raise FileFormatError("is a torch file of a big-endian machine")

    def find_storage(reference: object) -> Storage:
        dtype, key, count = storage_reference(reference)
        name = f"{folder}data/{key}"
        data = archive.stored(name) if name in archive.names else None
        if data is None or len(data) != count * dtype.itemsize:
            raise FileFormatError(f"holds no tensor storage {key!r:.50} of {count} elements")
        return Storage(dtype, count, data)

    return parse_whole(archive.stored(pickle)), find_storage


def read_legacy_stream(stream: memoryview) -> tuple[object, FindStorage]:
    """The parsed object of a legacy stream, and where its storages are.

    Raises FileFormatError.
    """
    position = 0
    parts: list[object] = []
    references: list[Persistent] = []
    for _ in range(5):
        parsed = parse(stream, position)
        position = parsed.end
        parts.append(parsed.value)
        references += parsed.persistent
    magic, version, system, value, keys = parts
    if magic != _LEGACY_MAGIC or version != _LEGACY_VERSION or not isinstance(system, dict):
        raise FileFormatError("is not a torch file of a known version")
    if system.get("little_endian") is not True:
        raise FileFormatError("is a torch file of a big-endian machine")
    dtypes = {key: dtype for dtype, key, _ in map(storage_reference, references)}
    storages: dict[str, Storage] = {}
    for key in map(to_text, keys if isinstance(keys, list) else []):
        count = int.from_bytes(stream[position : position + 8], "little")
        position += 8
        if key not in dtypes:
            raise FileFormatError("holds a tensor storage that nothing refers to")
        end = position + count * dtypes[key].itemsize
        if end > len(stream):
            raise FileFormatError(f"ends inside the tensor storage {key!r:.50}")
        storages[key] = Storage(dtypes[key], count, stream[position:end])
        position = end

    def find_storage(reference: object) -> Storage:
        dtype, key, count = storage_reference(reference)
        storage = storages.get(key)
        if storage is None or storage.count != count or storage.dtype != dtype:
            raise FileFormatError(f"refers to a tensor storage {key!r:.50} that it doesn't hold")
        return storage

    return value, find_storage


class EmbeddedStorages:
    """Finds storages inside the pickle.

    budget_bytes: how much it reads in all. No honest file refers to a storage twice, so the file's
    size is enough; a hostile one could refer to a large storage without end.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes

    def __call__(self, reference: object) -> Storage:
        if (
            not isinstance(reference, Call)
            or reference.name != "torch.storage._load_from_bytes"
            or len(reference.args) != 1
        ):
            raise FileFormatError("holds a tensor whose storage is not in the file")
        stream = to_bytes(reference.args[0], self.budget_bytes)
        self.budget_bytes -= len(stream)
        value, find_storage = read_legacy_stream(stream)
        return find_storage(value)
