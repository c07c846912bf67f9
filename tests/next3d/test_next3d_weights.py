"""Weights that do not fit are named in one line."""

import pytest
import torch

from synthforge.next3d.weights import select_live

OWN = {name: torch.zeros(2) for name in "abcdefghijkl"}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_live_weights_that_are_not_finite(value):
    given = OWN | {"c": torch.tensor([0, value]), "unused": torch.tensor(value)}
    with pytest.raises(ValueError, match=r"NaN or infinite values: c$"):
        select_live(OWN, given, strict=True)
    assert select_live(OWN, OWN | {"unused": torch.tensor(value)}, strict=True).keys() == OWN.keys()


def test_many_weights_in_one_line():
    with pytest.raises(
        ValueError, match=r"missing \(11\): b, .*, i and 3 more; of another shape"
    ) as e:
        select_live(OWN, {"a": torch.zeros(3)}, strict=True)
    assert len(str(e.value).splitlines()) == 1
