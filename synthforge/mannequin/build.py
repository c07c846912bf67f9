"""The built-in head: everything a FLAME file holds, made in code."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flame_pytorch.model import HeadModel, LandmarkEmbedding
from synthforge.mannequin import (
    assembly,
    displacement,
    embedding,
    expression,
    head_regions,
    identity,
    lids,
    skinning,
)
from synthforge.mannequin.profiles import Array

IDENTITY_SIZE, EXPRESSION_SIZE = 300, 100


@dataclass(frozen=True)
class MannequinHead:
    """A FLAME-compatible head with its texture layout and names.

    model: V vertices, F faces, all of shapedirs' 400 components; unused ones are zero.
    embedding: the 68 landmarks.
    uvs: float32 (T, 2) in [0, 1], v up. uv_faces: int64 (F, 3).
    face_region: int64 (F,), ids of synthforge.regions, all of 0-18.
    vertex_part: int64 (V,), values of parts.Part.
    mirror: int64 (V,), index of each vertex's mirror image; the midline's are their own.
    shape_names, expression_names: of the leading components. The first five of identity are
        masculinity, age, weight, african, east_asian. Expressions 50 and 51 close the left and the
        right eye.
    """

    model: HeadModel
    embedding: LandmarkEmbedding
    uvs: NDArray[np.float32]
    uv_faces: NDArray[np.int64]
    face_region: NDArray[np.int64]
    vertex_part: NDArray[np.int64]
    mirror: NDArray[np.int64]
    shape_names: tuple[str, ...]
    expression_names: tuple[str, ...]


@functools.cache
def build_head() -> MannequinHead:
    """Build the head, once. Takes about a second."""
    head = assembly.assemble()
    where = displacement.anchors(head)
    lid_map = lids.lid_map(head)
    shapedirs = np.zeros((*head.vertices.shape, IDENTITY_SIZE + EXPRESSION_SIZE))
    shapedirs[..., : len(identity.NAMES)] = identity.components(head, where, lid_map)
    resting = displacement.still_eyes(where)
    expressions = expression.components(head, resting, lid_map)
    shapedirs[..., IDENTITY_SIZE : IDENTITY_SIZE + expressions.shape[-1]] = expressions
    model = HeadModel(
        v_template=head.vertices,
        faces=_int64(head.faces),
        shapedirs=shapedirs,
        posedirs=expression.correctives(head, resting, lid_map),
        J_regressor=skinning.joint_regressor(head),
        parents=_int64(skinning.PARENTS),
        weights=skinning.weights(head),
    )
    return MannequinHead(
        model=model,
        embedding=embedding.embed(head),
        uvs=head.uvs,
        uv_faces=_int64(head.uv_faces),
        face_region=_int64(head_regions.face_regions(head)),
        vertex_part=_int64(head.parts),
        mirror=_int64(head.mirror),
        shape_names=identity.NAMES,
        expression_names=expression.NAMES,
    )


def _int64(values: Array) -> NDArray[np.int64]:
    return values.astype(np.int64)
