"""Closing holes of the silhouette: label propagation against scipy's, on what is hard for it."""

import numpy as np
import pytest
import support_next3d as support
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synthforge.next3d import texture_raster


def oracle(image):
    labels = ndimage.label(image)[0]
    return labels == labels[0, 0]


def spiral(size):
    image = np.zeros((size, size), bool)
    row, column, step_row, step_column = 0, 0, 0, 1
    image[0, 0] = True

    def free(r, c):
        return not (0 <= r < size and 0 <= c < size) or not image[r, c]

    turns = 0
    while turns < 2:
        ahead = row + step_row, column + step_column
        if (
            0 <= ahead[0] < size
            and 0 <= ahead[1] < size
            and free(*ahead)
            and free(row + 2 * step_row, column + 2 * step_column)
        ):
            row, column = ahead
            image[row, column] = True
            turns = 0
        else:
            step_row, step_column = step_column, -step_row
            turns += 1
    return image


def serpentine(size):
    image = np.zeros((size, size), bool)
    image[::2] = True
    image[1::4, -1] = image[3::4, 0] = True
    return image


def maze(size, seed):
    """A perfect maze on the even pixels: one path between any two, no loops."""
    random = np.random.default_rng(seed)
    image = np.zeros((size, size), bool)
    image[0, 0] = True
    path = [(0, 0)]
    while path:
        row, column = path[-1]
        steps = [
            (r, c)
            for r, c in ((row + 2, column), (row - 2, column), (row, column + 2), (row, column - 2))
            if 0 <= r < size and 0 <= c < size and not image[r, c]
        ]
        if not steps:
            path.pop()
            continue
        r, c = steps[random.integers(len(steps))]
        image[r, c] = image[(r + row) // 2, (c + column) // 2] = True
        path.append((r, c))
    return image


HARD = {
    "spiral": spiral(256),
    "serpentine": serpentine(256),
    "serpentine, upright": serpentine(256).T.copy(),
    "maze": maze(255, 1),
    "other maze": maze(255, 2),
    "percolation": np.random.default_rng(0).random((256, 256)) < 0.6,
    "head": np.hypot(*np.mgrid[-2:2:256j, -1:1:256j]) > 0.7,
}


@pytest.mark.parametrize("name", HARD)
def test_propagation_is_exact(name):
    image = HARD[name].copy()
    image[0, 0] = True
    got = texture_raster._propagate(torch.from_numpy(image)[None])[0]
    assert np.array_equal(got.numpy(), oracle(image))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40), st.floats(0.3, 1))
def test_propagation_and_labelling_agree(seed, height, width, density):
    images = torch.from_numpy(np.random.default_rng(seed).random((3, height, width)) < density)
    want = texture_raster.connected_to_corner(images)
    images[:, 0, 0] = True
    assert torch.equal(texture_raster._propagate(images), want)
    assert want[:, 0, 0].all()


def test_fill_holes_matches_the_released_code():
    with np.load(support.GOLDEN_DIR / "units.npz") as goldens:
        alpha, want = (torch.from_numpy(goldens[name]) for name in ("fill_in", "fill_out"))
    torch.testing.assert_close(texture_raster.fill_holes(alpha), want, atol=1e-5, rtol=0)
