import math

import numpy as np
import pytest

from synthforge.detectors.crops import Square, roll_of


def ramp(height, width):
    """Each pixel holds where it is: x in red, y in green."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, 0 * x], -1).astype(np.uint8)


@pytest.mark.parametrize("roll_rad", [0.0, 0.5, -2.0, math.pi])
def test_what_is_cut_goes_back_to_where_it_was(roll_rad):
    square = Square(60.0, 50.0, 40.0, roll_rad)
    cut = square.cut(ramp(100, 120), 80)
    at = np.array([(10, 20), (70, 33), (40, 40)])
    back = square.back(at + 0.5, 80)
    seen = cut[at[:, 1], at[:, 0], :2] + 0.5
    np.testing.assert_allclose(seen, back, atol=0.6)
    np.testing.assert_allclose(square.back(np.array([[40.0, 40.0]]), 80), [[60, 50]])


def test_outside_of_the_image_it_is_black():
    cut = Square(0.0, 0.0, 40.0).cut(np.full((50, 50, 3), 200, np.uint8), 40)
    assert cut[:19].max() == cut[:, :19].max() == 0 and cut[21:, 21:].min() == 200


@pytest.mark.parametrize("roll_rad", [0.0, 0.7, -2.5])
def test_a_turned_face_stands_upright_in_its_square(roll_rad):
    """Its right eye is on the left, its left eye as high."""
    eyes = np.array([(-10, 0), (10, 0)]) @ [
        [math.cos(roll_rad), math.sin(roll_rad)],
        [-math.sin(roll_rad), math.cos(roll_rad)],
    ]
    assert roll_of(*eyes) == pytest.approx(roll_rad)
    square = Square(0.0, 0.0, 40.0, roll_rad)
    np.testing.assert_allclose(square.back(np.array([(10.0, 20.0), (30.0, 20.0)]), 40), eyes)


@pytest.mark.parametrize("roll_rad", [0.0, 0.5, math.pi])
def test_points_go_into_the_square_and_back(roll_rad):
    square, points = Square(60.0, 50.0, 40.0, roll_rad), np.array([(3.0, 7.0), (70.0, -2.0)])
    np.testing.assert_allclose(square.back(square.into(points, 80), 80), points)


def test_pixels_of_a_smaller_cut_are_means():
    """A checkerboard becomes grey; where pixels stay as large, it stays."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255)[..., None].repeat(3, -1).astype(np.uint8)
    whole = Square(32.0, 32.0, 64.0)
    assert np.ptp(whole.cut_averaged(board, 16)) <= 1
    np.testing.assert_array_equal(whole.cut_averaged(board, 64), board)
