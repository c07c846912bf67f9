"""Planted damage to a folder is found at its sample, and drawn again to the same bytes."""

import hashlib
import shutil

import cv2
import numpy as np
import pytest
from support_verified import SAMPLES, contents, copied, edit, run

from synthforge.dataset.verify.verify import verify


@pytest.fixture
def root(whole, tmp_path):
    return copied(whole, tmp_path / "set")


def path_of(root, folder, index=1):
    return root / folder / f"{index:06d}.{'json' if folder == 'annotations' else 'png'}"


def image_of(root, folder, index=1):
    return cv2.imread(str(path_of(root, folder, index)), cv2.IMREAD_UNCHANGED)


def rewrite(folder, change):
    """Damage: an image drawn over and stored as a whole PNG."""

    def damage(root):
        content = change(image_of(root, folder))
        cv2.imwrite(str(path_of(root, folder)), content)

    return damage


def bytes_of(folder, change):
    def damage(root):
        path = path_of(root, folder)
        path.write_bytes(change(path.read_bytes()))

    return damage


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def number(key, change):
    def damage(root):
        edit(path_of(root, "annotations"), lambda record: record.update({key: change(record)}))

    return damage


def swap(root, folder="images"):
    first, second = path_of(root, folder, 0), path_of(root, folder, 1)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def take(folder):
    return lambda root: shutil.copy(path_of(root, folder, 0), path_of(root, folder))


def as_folder(root):
    path_of(root, "seg").unlink()
    path_of(root, "seg").mkdir()


def one_pixel(image):
    image[0, 0, 0] ^= 1
    return image


def blended(image):
    return cv2.GaussianBlur(image, (3, 3), 0)


# What is planted -> a part of what is told of sample 1.
DAMAGES = {
    "a cut PNG": (bytes_of("images", lambda c: c[: len(c) // 2]), "images/000001.png ends early"),
    "its last byte cut": (bytes_of("images", lambda c: c[:-1]), "images/000001.png ends early"),
    "a flipped byte": (bytes_of("images", flip), "images/000001.png has changed bytes"),
    "an empty file": (bytes_of("seg", lambda c: b""), "seg/000001.png is empty"),
    "two pictures swapped": (swap, "images/000001.png is not the file that was written"),
    "NaN in JSON": (number("z", lambda r: [float("nan")] * 512), "000001.json holds NaN"),
    "infinity in JSON": (
        bytes_of("annotations", lambda c: c.replace(b'"sex": ', b'"sex": 1e999, "x": ')),
        "sex holds a number that is not finite",
    ),
    "JSON cut in half": (
        bytes_of("annotations", lambda c: c[: len(c) // 2]),
        "annotations/000001.json is no whole JSON",
    ),
    "a file replaced by a folder": (as_folder, "seg/000001.png is a folder"),
    "a cut depth16": (bytes_of("depth16", lambda c: c[:9000]), "depth16/000001.png ends early"),
    "a file removed": (lambda root: path_of(root, "depth").unlink(), "depth/000001.png is missing"),
    "bytes after the end": (bytes_of("uv", lambda c: c + b"x"), "goes on for 1 bytes after"),
    "no PNG at all": (bytes_of("images", lambda c: b"\xff\xd8\xff" + c), "is no PNG"),
    "depth16 in 8 bits": (
        rewrite("depth16", lambda image: (image >> 8).astype(np.uint8)),
        "is a 8-bit PNG, expected 16-bit",
    ),
    "RGBA": (
        rewrite("images", lambda image: np.dstack([image, image[..., 0]])),
        "is a 8-bit RGBA PNG, expected 8-bit RGB",
    ),
    "another size": (
        rewrite("images", lambda image: image[::2, ::2]),
        "is 256 x 256, expected 512 x 512",
    ),
    "one pixel drawn over": (rewrite("images", one_pixel), "is not the file that was written"),
    "a black image": (rewrite("images", lambda image: image * 0), "is all of one value"),
    "blended regions": (rewrite("seg", blended), "colours that are not in the palette"),
    "regions mirrored": (rewrite("seg", lambda image: image[:, ::-1]), "does not agree with"),
    "ids of another sample": (take("seg_id"), "seg_id/000001.png does not agree with seg"),
    "normals of another sample": (take("normals"), "they cover different pixels"),
    "depth of another sample": (take("depth"), "depth/000001.png does not agree with seg"),
    "depth scaled": (
        rewrite("depth16", lambda image: (image * 0.9).astype(np.uint16)),
        "depth16/000001.png does not agree with 3d_kps",
    ),
    "another depth range": (
        number("depth_range", lambda r: [value + 0.2 for value in r["depth_range"]]),
        "depth/000001.png does not agree with 3d_kps",
    ),
    "keypoints moved": (
        number("2d_kps", lambda r: [[x + 3, y] for x, y in r["2d_kps"]]),
        "3d_kps project 3.00 px away",
    ),
    "a camera that shears": (
        number("camera_params", lambda r: [2.0, *r["camera_params"][1:]]),
        "camera_params begins with no rigid transform",
    ),
    "a key of another shape": (
        number("flame_exp", lambda r: r["flame_exp"][:-1]),
        "flame_exp is [49], expected [50]",
    ),
    "a text": (number("sex", lambda r: "male"), "sex holds something else than numbers"),
    "ragged rows": (number("2d_kps", lambda r: [[1, 2], [3]]), "rows of different lengths"),
    "a key more": (number("more", lambda r: 1), "more is one number, in most samples not there"),
    "annotation of another sample": (take("annotations"), "index is 0, expected 1"),
    "another seed": (number("seed", lambda r: 6), "seed is 6, expected 5"),
}


def test_an_undamaged_set_is_whole(whole):
    before = contents(whole)
    output = run("verify", whole)
    assert f"{SAMPLES} of {SAMPLES} planned samples are whole." in output
    assert verify(whole, 1).compared == SAMPLES * 8
    assert contents(whole) == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_at_its_sample(root, damage):
    plant, told = DAMAGES[damage]
    plant(root)
    report = verify(root, 2)
    lines = [str(problem) for problem in report.problems if 1 in problem.indices]
    assert any(told in line for line in lines), (damage, lines)
    assert report.whole == SAMPLES - sum(map(len, report.damaged))
    assert len(report.damaged) == 1 and 2 not in report.damaged[0]


def test_a_sample_that_is_gone_is_told(root):
    for folder in ("images", "seg", "depth", "seg_id", "depth16", "normals", "uv", "annotations"):
        path_of(root, folder, SAMPLES - 1).unlink()
    output = run("verify", root, expect=1)
    assert output.count("000002  not there") == 1
    assert f"synthforge verify {root} --fix" in output


OTHERS = {
    "a stray file": (
        lambda root: (root / "images" / "000001 (1).png").write_bytes(b"x"),
        "images/000001 (1).png is no file of a sample: move it away",
    ),
    "a cut sheet": (
        lambda root: (root / "contact_sheet.png").write_bytes(b"\x89PNG\r\n\x1a\n"),
        "contact_sheet.png ends early: delete it",
    ),
    "a broken log": (
        lambda root: (root / "rejections.jsonl").write_text('{"index"'),
        "rejections.jsonl: line 1 is no whole line",
    ),
    "a broken list of digests": (
        lambda root: next((root / "manifests").iterdir()).write_text("x\n"),
        "sha256: line 1 is no digest",
    ),
    "another palette": (
        lambda root: edit(root / "dataset.json", lambda card: card | {"palette": {}}),
        "dataset.json: palette is not the one",
    ),
}


@pytest.mark.parametrize("damage", OTHERS)
def test_damage_outside_of_samples_is_told(root, damage):
    plant, told = OTHERS[damage]
    plant(root)
    report = verify(root, 1)
    assert any(told in str(problem) for problem in report.problems)
    assert not report.damaged


def test_without_digests_the_user_is_told(root):
    shutil.rmtree(root / "manifests")
    output = run("verify", root)
    assert "Note: there are no manifests/" in output


def test_the_digests_are_those_that_sha256sum_reads(whole):
    (path,) = (whole / "manifests").iterdir()
    assert path.name == "000000-000002.sha256"
    for line in path.read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((whole / name).read_bytes()).hexdigest() == digest


def test_what_is_no_dataset_ends_with_exit_code_2(tmp_path):
    assert "empty or not there" in run("verify", tmp_path / "none", expect=2)
    (tmp_path / "dataset.json").write_text("{")
    assert "cut short or was changed" in run("verify", tmp_path, expect=2)


def test_fix_draws_the_same_bytes_again(root):
    before = contents(root)
    swap(root)
    as_folder(root)
    output = run("verify", root, "--fix")
    assert "3 of 3 planned samples are whole." in output
    assert "another kind of machine" not in output
    assert contents(root) == before


def test_fix_tells_of_a_sample_that_was_listed_with_other_bytes(root):
    before = contents(root)
    (path,) = (root / "manifests").iterdir()
    listed = path.read_text().splitlines(keepends=True)
    own = [("0" * 64 + line[64:]) if "images/000001" in line else line for line in listed]
    path.write_text("".join(own))
    output = run("verify", root, "--fix")
    assert "1 sample was first drawn on another kind of machine: it is whole" in output
    assert contents(root) == before


def test_fix_changes_nothing_where_it_would_draw_other_samples(root):
    edit(root / "dataset.json", lambda card: card["recipe"].update(head_fingerprint="other"))
    swap(root)
    before = contents(root)
    assert "would draw other samples" in run("verify", root, "--fix", expect=2)
    assert contents(root) == before
