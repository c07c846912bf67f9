"""points.npz belongs to one head: its triangles by their numbers."""

from dataclasses import replace

import numpy as np
import pytest

from synthforge.mannequin.head.baked import baked_head
from synthforge.mannequin.head.points import built_in_schemes, topology_digest


def test_the_file_is_for_the_built_in_head():
    assert len(built_in_schemes(baked_head())["mediapipe468"]) == 468


@pytest.mark.parametrize("changed", ["a triangle's corners", "a region"])
def test_points_of_another_head_are_refused_with_the_way_out(changed):
    """As many triangles as before."""
    head = baked_head()
    if changed == "a region":
        other = replace(head, face_region=np.roll(head.face_region, 1))
    else:
        faces = head.model.faces.copy()
        faces[0] = faces[0, [1, 2, 0]]
        other = replace(head, model=replace(head.model, faces=faces))
    assert topology_digest(other) != topology_digest(head)
    with pytest.raises(ValueError, match=r"points\.npz .* run python tools/bake_points\.py"):
        built_in_schemes(other)


def test_the_digest_is_the_same_for_any_width_of_integers():
    head = baked_head()
    other = replace(head, face_region=head.face_region.astype(np.int16))
    assert topology_digest(other) == topology_digest(head)
