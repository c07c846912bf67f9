"""A sample's gaze, and its face's size and place, against what was drawn."""

from dataclasses import replace

import numpy as np
import pytest
from support_like import faces
from support_mannequin import built_head

from synthforge.dataset.report.numbers import UNITS, numbers_beside, numbers_of
from synthforge.dataset.stored import StoredSample
from synthforge.distributions import Range
from synthforge.frames import place_in_generator
from synthforge.like import Like
from synthforge.mannequin.people import draw_people
from synthforge.pose import euler_deg, pose_of
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

PATHS = {"annotations": "000000.json"}
POINTS = {"2d_kps": np.stack([np.linspace(10, 60, 68), np.linspace(20, 40, 68)], 1).tolist()}


def numbers(config, **annotation):
    """Of one sample that is drawn with `config`."""
    people = draw_people([SampleId(1, 0)], config)
    pose = pose_of(*built_head().joints(people), place_in_generator, people.camera)
    values = {
        "head_rotation": pose.R_cam_head,
        "head_euler_deg": euler_deg(pose.R_cam_head),
        "eye_centers": pose.eyes_cam,
        "flame_shape": people.shape,
        "flame_neck_pose": people.pose_rad[:, 3:6],
        "flame_eye_pose": people.pose_rad[:, 9:],
        "camera_params": people.camera.vector,
        "face_actions": people.labels["face_actions"],
        **{name: getattr(people, name) for name in ("yaw_rad", "pitch_rad", "fov_deg")},
    }
    listed = {name: value[0].tolist() for name, value in values.items()}
    return numbers_of(StoredSample(0, {}, POINTS | listed | annotation, PATHS), 100)


@pytest.mark.parametrize("gaze", [(0.0, 0.0), (0.15, 0.0), (-0.1, -0.05), (0.0, 0.08)])
def test_numbers_are_those_of_the_photographed_face(gaze):
    arrays = faces(1) | {"gaze_rad": np.float32([gaze])}
    arrays["angles_rad"] = np.float32([[0.05, 0.04, 0.2]])
    arrays["framing"] = np.float32([[0.35, 0.06, -0.04]])
    like = Like(arrays, jitter=0.0)
    own = {title: values.item() for title, values in numbers_beside(like).items()}
    shown = numbers(replace(MANNEQUIN_SAMPLING, like=like))
    assert own.keys() < shown.keys() == UNITS.keys() - {"age"}
    for title, number in own.items():
        # Degrees: eyes sit elsewhere in other shapes.
        margin = 2 if title.startswith("gaze") else 0.1
        assert shown[title] == pytest.approx(number, abs=margin), title
    assert own["gaze past the camera, left"] == pytest.approx(np.degrees(gaze[0]))


def test_an_open_mouth_makes_no_face_larger():
    sized = replace(MANNEQUIN_SAMPLING, face_size=Range(0.4, 0.4), jaw_rad=Range(0.3, 0.3))
    assert numbers(sized)["face size"] == pytest.approx(40, abs=0.01)


def test_other_heads_have_the_size_of_their_keypoints():
    sample = StoredSample(0, {}, POINTS | {"yaw_rad": 0.5, "age_years": 30}, PATHS)
    shown = numbers_of(sample, 100)
    assert shown.keys() == {"yaw", "roll", "face size", "age"}
    assert shown["face size"] == 50 and shown["yaw"] == pytest.approx(np.degrees(0.5))
