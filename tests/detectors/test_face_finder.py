import numpy as np
import pytest

from synthforge.detectors import face_finder
from synthforge.detectors.crops import Square
from synthforge.detectors.face_finder import find_faces

IMAGE = np.zeros((256, 256, 3), np.uint8)
WHOLE = Square(128.0, 128.0, 256.0)


@pytest.fixture
def answers(monkeypatch):
    """Anchor -> logit and 16 numbers, that the net gives."""
    given = {}

    def net(image):
        numbers, logits = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -20, np.float32)
        for anchor, (logit, row) in given.items():
            logits[0, anchor], numbers[0, anchor] = logit, row
        return [numbers, logits]

    monkeypatch.setattr(face_finder, "face_finder_net", lambda: net)
    return given


def face(x=0.0, y=0.0, size=40.0, eyes=((-8, -5), (8, -5))):
    return [x, y, size, size, *np.ravel(eyes), *[0] * 8]


@pytest.mark.parametrize(
    ("anchor", "middle"),
    [
        # Two anchors in each of 16 x 16 cells of 8 px, then six in each of 8 x 8 of 16.
        *((0, (4, 4)), (1, (4, 4)), (2, (12, 4)), (32, (4, 12)), (511, (124, 124))),
        *((512, (8, 8)), (517, (8, 8)), (518, (24, 8)), (560, (8, 24)), (895, (120, 120))),
    ],
)
def test_where_the_anchors_are(answers, anchor, middle):
    answers[anchor] = 3.0, face()
    (found,) = find_faces(IMAGE, WHOLE, 0.5)
    assert (found.view.x, found.view.y) == pytest.approx((2 * middle[0], 2 * middle[1]))
    assert found.view.side == pytest.approx(2 * 40 * 1.5)
    assert found.view.roll_rad == 0
    assert found.score == pytest.approx(1 / (1 + np.exp(-3)))


def test_boxes_of_one_face_are_averaged_and_other_faces_kept(answers):
    answers[512] = 1.0, face(x=20)
    answers[518] = 3.0, face(x=8)  # nearly the same place
    answers[895] = 2.0, face()
    answers[700] = -1.0, face()
    first, second = find_faces(IMAGE, WHOLE, 0.5)
    weights = 1 / (1 + np.exp([-1, -3]))
    assert first.view.x == pytest.approx(2 * (weights @ [28, 32]) / weights.sum())
    assert first.score == pytest.approx(weights[1])
    assert (second.view.x, second.view.y) == pytest.approx((240, 240))


def test_the_roll_is_that_of_the_eyes_and_of_the_searched_square(answers):
    answers[600] = 3.0, face(eyes=((-6, -6), (6, 6)))
    (found,) = find_faces(IMAGE, WHOLE, 0.5)
    assert found.view.roll_rad == pytest.approx(np.pi / 4)
    (found,) = find_faces(IMAGE, Square(128.0, 128.0, 256.0, 0.3), 0.5)
    assert found.view.roll_rad == pytest.approx(np.pi / 4 + 0.3)


def test_logits_beyond_what_exp_holds(answers):
    answers[0] = 1e30, face()
    (found,) = find_faces(IMAGE, WHOLE, 0.5)
    assert found.score == 1
