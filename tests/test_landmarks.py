"""The mirrored scheme."""

import numpy as np
import pytest
from support_fake_generator import LANDMARKS_XY

from synthforge.landmarks import FLIP, LEFT_BROW, LEFT_EYE, NOSE, RIGHT_BROW, RIGHT_EYE
from synthforge.mannequin.render.template import template


def test_flipping_twice_is_nothing():
    flip = np.array(FLIP)
    np.testing.assert_array_equal(flip[flip], np.arange(68))


def test_flipping_swaps_sides_and_keeps_the_midline():
    flip = np.array(FLIP)
    assert set(flip[RIGHT_BROW]) == set(np.arange(68)[LEFT_BROW])
    assert set(flip[RIGHT_EYE]) == set(np.arange(68)[LEFT_EYE])
    assert set(flip[NOSE]) == set(np.arange(68)[NOSE])
    midline = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    assert flip[midline].tolist() == midline
    assert flip[36] == 45


@pytest.mark.parametrize("points", [template().landmarks.numpy()[:, :2], LANDMARKS_XY])
def test_a_symmetric_face_flips_to_itself(points):
    """Moved to the place FLIP says, each point's mirror image is the point that is there."""
    np.testing.assert_allclose(points * [-1, 1], points[np.array(FLIP)], atol=1e-3)
