"""A head from the user's files: they fit together, or the one that does not is named."""

import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from support_flame_files import write_flame_files
from support_flame_heads import face_head

from flame_pytorch.errors import FileFormatError
from flame_pytorch.plausible import MASK_NAMES
from synthforge.assets.locate import AssetError, find_assets
from synthforge.head import read_head
from synthforge.regions import PALETTE, REGION_ID

HEAD, EMBEDDING = face_head()
MASKS = dict.fromkeys(MASK_NAMES, np.arange(0)) | {"nose": np.arange(30)}
UVS = np.stack([np.linspace(0.1, 0.9, 204), np.full(204, 0.5)], 1)


def write_all(folder: Path, model=HEAD, embedding=EMBEDDING, masks=MASKS) -> Path:
    write_flame_files(folder, model, embedding, masks, UVS, HEAD.faces)
    return folder


def write_texture(folder: Path, color=PALETTE[REGION_ID["nose"]], size: int = 16) -> None:
    image = np.full((size, size, 3), color[::-1], np.uint8)
    (folder / "flame_seg_tex.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())


def read(folder: Path):
    return read_head(find_assets(folder, folder))


def test_a_head_of_all_files(tmp_path):
    head = read(write_all(tmp_path))
    assert head.has_uvs and head.flame.v_template.shape == (204, 3)
    assert set(head.face_regions.unique().tolist()) >= {REGION_ID["nose"]}
    write_texture(tmp_path)
    assert read(tmp_path).face_regions.unique().tolist() == [REGION_ID["nose"]]


def test_a_path_that_is_not_utf8(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    write_texture(write_all(folder))
    assert read(folder).face_regions.unique().tolist() == [REGION_ID["nose"]]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (
            "generic_model.pkl",
            {"model": dataclasses.replace(HEAD, v_template=HEAD.v_template * 99)},
        ),
        ("generic_model.pkl", {"model": dataclasses.replace(HEAD, weights=HEAD.weights * 2)}),
        (
            "landmark_embedding.npy",
            {
                "embedding": dataclasses.replace(
                    EMBEDDING, contour_faces=EMBEDDING.contour_faces + 60
                )
            },
        ),
        (
            "landmark_embedding.npy",
            {"embedding": dataclasses.replace(EMBEDDING, static_faces=np.arange(51))},
        ),
        ("FLAME_masks.pkl", {"masks": {"a": np.arange(3)}}),
        ("FLAME_masks.pkl", {"masks": MASKS | {"nose": np.array([204])}}),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, name, changes):
    with pytest.raises(FileFormatError) as error:
        read(write_all(tmp_path, **changes))
    assert str(error.value).startswith(str(tmp_path / name))
    assert len(str(error.value).splitlines()) == 1


def large_png() -> bytes:
    """8193 pixels a side, by its header."""
    start = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    return start[:16] + (8193).to_bytes(4, "big") * 2 + start[24:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a PNG"),
        (b"\xff\xd8\xff\xe0 a JPEG", "is not a PNG"),
        (large_png(), "is not a PNG of at most 8192 pixels a side"),
        (large_png()[:16] + b"\0\0\0\x04" * 2, "is a damaged PNG"),
    ],
)
def test_a_texture_that_is_no_image(tmp_path, content, message):
    (write_all(tmp_path) / "flame_seg_tex.png").write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"flame_seg_tex.png {message}.*FLAME_masks.pkl"):
        read(tmp_path)


def test_a_texture_that_is_not_painted(tmp_path):
    write_texture(write_all(tmp_path), color=(200, 160, 140))
    with pytest.raises(FileFormatError, match=r"flame_seg_tex.png is no painted segmentation"):
        read(tmp_path)


def test_a_missing_file(tmp_path):
    write_all(tmp_path)
    (tmp_path / "generic_model.pkl").unlink()
    with pytest.raises(AssetError, match=r"generic_model.pkl .*from https://flame"):
        read(tmp_path)
