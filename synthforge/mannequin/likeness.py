"""Draws of the built-in head like faces in photographs."""

from __future__ import annotations

from dataclasses import replace

from synthforge.distributions import Range
from synthforge.like import Face
from synthforge.likeness import turns, within
from synthforge.mannequin.head.faces import draw_face
from synthforge.sampling import SampleId
from synthforge.sampling_config import MAX_FACE_SIZE, MIN_FACE_SIZE, SamplingConfig

# A photograph shows how a head is turned before the camera, not which of them turned: the camera
# takes a share of yaw and pitch.
_CAMERA_SHARE = (0.3, 0.8)


def like_config(config: SamplingConfig, sample: SampleId) -> tuple[SamplingConfig, Face | None]:
    """`config` with the pose and the framing of one draw of config.like, and that draw.

    Without config.like they are as they were, and None.
    """
    if config.like is None:
        return config, None
    rng = sample.stream("like")
    face = config.like.draw(rng, draw_face(rng))
    share = _CAMERA_SHARE[0] + (_CAMERA_SHARE[1] - _CAMERA_SHARE[0]) * rng.random()
    size, x, y = face.framing
    fixed = turns(face.angles_rad, share) | {
        "face_size": within(size, MIN_FACE_SIZE, MAX_FACE_SIZE),
        "offset_x": within(x, -1, 1),
        "offset_y": within(y, -1, 1),
    }
    ranges = {name: Range(value, value) for name, value in fixed.items()}
    return replace(config, pose_limit=None, cut=0.0, **ranges), face  # type: ignore[arg-type]
