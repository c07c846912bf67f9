"""Samples compared to the bit."""

import numpy as np


def assert_same(samples, others):
    assert samples.keys() == others.keys()
    for index, sample in samples.items():
        for mine, theirs in (
            (sample.files, others[index].files),
            (sample.annotation, others[index].annotation),
        ):
            assert list(mine) == list(theirs)
            for name, values in mine.items():
                np.testing.assert_array_equal(values, theirs[name], err_msg=name)
