import augmentation
import numpy as np


def test_a_part_of_a_view_is_hidden_by_one_color_or_a_piece_of_another_crop():
    draws, kinds = np.random.default_rng(0), set()
    other = np.random.default_rng(1).integers(100, 256, (160, 160, 3), np.uint8)
    for _ in range(20):
        view = np.zeros((96, 96, 3), np.uint8)
        augmentation.hide_a_part(view, other, draws)
        rows, columns = np.nonzero(view.any(-1))
        low, high = (rows.min(), columns.min()), (rows.max() + 1, columns.max() + 1)
        hidden = view[low[0] : high[0], low[1] : high[1]]
        assert 0 < hidden.shape[0] <= 40 and 0 < hidden.shape[1] <= 40
        assert hidden.any(-1).all()  # a rectangle
        kinds.add(bool((hidden == hidden[0, 0]).all()))
    assert kinds == {True, False}


def test_half_of_the_views_are_hidden_and_none_without_another_crop(monkeypatch):
    calls = []
    monkeypatch.setattr("augmentation.hide_a_part", lambda *_: calls.append(1))
    crop, draws = np.full((160, 160, 3), 90, np.uint8), np.random.default_rng(0)
    for _ in range(40):
        view, _, _ = augmentation.augment(crop, crop, 96, draws)
        assert view.shape == (96, 96, 3) and view.dtype == np.float32
        assert view.min() >= 0 and view.max() <= 1
    assert 10 < len(calls) < 30
    calls.clear()
    for _ in range(40):
        augmentation.augment(crop, None, 96, draws)
    assert not calls
