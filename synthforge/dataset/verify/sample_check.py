"""Is one sample whole? From the bytes of its files alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from synthforge.dataset.folder import ANNOTATIONS, image_size
from synthforge.dataset.sample import decode_png
from synthforge.dataset.verify.geometry import image_faults
from synthforge.dataset.verify.numbers import Numbers, number_faults, parse_numbers
from synthforge.dataset.verify.png_chunks import png_header
from synthforge.labels import CORE, IMAGES

# Of these the generator chooses the size.
_OTHER_SIZES = ("volume_depth",)
_CHANGED = "is not the file that was written: its SHA-256 is another"


@dataclass(frozen=True)
class Expected:
    """What dataset.json says of every sample. image_size: height and width of its images."""

    folders: tuple[str, ...]
    image_size: int
    seed: Any = None

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Expected:
        recipe = card["recipe"]
        folders = (*CORE, *recipe.get("extras", ()))
        return cls(folders, image_size(card), recipe.get("seed"))


# Names of numbers and images with their shapes.
Form = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Checked:
    """What was found of one sample.

    faults: folder and a line for each fault. form: what must be the same in all samples: the
    annotation's keys with their shapes, and the sizes of images; None if a file is damaged.
    compared: files that are known to be those that were written.
    """

    index: int
    faults: tuple[tuple[str, str], ...]
    form: Form | None
    compared: int = 0


def check_sample(
    index: int,
    files: Mapping[str, bytes | str],
    expected: Expected,
    digests: Mapping[str, set[str]] | None = None,
) -> Checked:
    """Check one sample.

    files: folder -> bytes, or why they cannot be read, in words; also of `annotations`.
    digests: folder -> SHA-256 in hexadecimal of which one must be the file's; those not listed are
    not compared.
    """
    faults: list[tuple[str, str]] = []
    images: dict[str, NDArray[Any]] = {}
    numbers: Numbers | None = None
    for folder in (*expected.folders, ANNOTATIONS):
        content = files.get(folder, "is missing")
        try:
            if isinstance(content, str):
                raise ValueError(content)
            if folder == ANNOTATIONS:
                numbers = parse_numbers(content)
                found = list(number_faults(numbers, index, expected.seed, expected.image_size))
                if found:
                    faults += [(folder, what) for what in found]
                    numbers = None
            else:
                images[folder] = _image(folder, content, expected)
        except ValueError as error:
            faults.append((folder, str(error)))
    faults += image_faults(images, numbers)
    form = None
    if not faults and numbers is not None:
        form = (
            *((key, numbers[key].shape) for key in sorted(numbers)),
            *((folder, image.shape) for folder, image in images.items()),
        )
    changed = set(_changed(files, digests or {}))
    told = {folder for folder, _ in faults}
    faults += [(folder, _CHANGED) for folder in sorted(changed - told)]
    return Checked(index, tuple(faults), form, len(digests or ()) - len(changed))


def _image(folder: str, content: bytes, expected: Expected) -> NDArray[Any]:
    """An image of the kind that its label has. Raises ValueError, in words, if it is none."""
    header = png_header(content)
    if folder in IMAGES and header.kind != IMAGES[folder].png:
        raise ValueError(f"is a {header.kind} PNG, expected {IMAGES[folder].png}")
    size, own = expected.image_size, folder in _OTHER_SIZES
    if (header.width, header.height) != (size, size) and not (own and header.width <= size):
        raise ValueError(f"is {header.width} x {header.height}, expected {size} x {size}")
    image = decode_png(content)
    if image is None:
        raise ValueError("does not decode")
    return image


def _changed(files: Mapping[str, bytes | str], digests: Mapping[str, set[str]]) -> Iterator[str]:
    """Folders whose file is not the one that was written."""
    for folder, known in digests.items():
        content = files.get(folder)
        if not isinstance(content, bytes) or hashlib.sha256(content).hexdigest() not in known:
            yield folder
