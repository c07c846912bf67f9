"""Whole images against kept thumbnails; `python -m support_golden` draws them again."""

import numpy as np
from support_golden import golden, thumbnails


def test_people_look_as_they_did():
    """Loose: a level on average, and nowhere another colour."""
    difference = np.abs(thumbnails().astype(int) - golden())
    assert difference.mean((1, 2, 3)).max() < 1
    assert np.percentile(difference, 99.9) < 16
