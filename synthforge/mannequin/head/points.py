"""The built-in head's keypoint schemes: what tools/bake_points.py wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from synthforge.keypoints import Scheme, every_vertex, ibug70, mediapipe478, scheme_of, wflw98
from synthforge.mannequin.head.baked import BakedHead, read_baked

_FORMAT = "synthforge points 2"


def topology_digest(head: BakedHead) -> str:
    """16 hex digits that change with the head's triangles, their order and their regions."""
    digest = hashlib.sha256()
    for array in (head.model.faces, head.face_region, head.mirror):
        digest.update(np.ascontiguousarray(array, "<i4").tobytes())
    return digest.hexdigest()[:16]


def built_in_schemes(head: BakedHead) -> Mapping[str, Scheme]:
    """All schemes, by name. Raises ValueError if the file was made for another head."""
    arrays, metadata = read_baked("points.npz", _FORMAT, "bake_points.py")
    made_for, ours = metadata.get("topology"), topology_digest(head)
    if made_for != ours:
        raise ValueError(
            f"points.npz holds keypoints on a head of topology {made_for}, and head.npz has "
            f"{ours}: run python tools/bake_points.py, which puts them on this head"
        )

    def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
        return arrays[f"{name}_faces"], arrays[f"{name}_bary"]

    mesh = scheme_of(*pair("mediapipe468"), arrays["mediapipe468_flip"])
    return {
        "ibug70": ibug70(head.embedding, pair("pupils")),
        "wflw98": wflw98(*pair("wflw98"), pair("wflw98_contour"), pair("pupils")),
        "mediapipe468": mesh,
        "mediapipe478": mediapipe478(mesh, pair("irises")),
        "vertices": every_vertex(head.model.faces, len(head.mirror), head.mirror),
    }
