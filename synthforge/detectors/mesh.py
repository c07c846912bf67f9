"""The detector `mesh`: MediaPipe's face mesh, its 468 points mapped to the 68 of iBUG."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synthforge.detectors.face_mesh import face_mesh

REJECT_PX = 11.0
# The mesh point nearest to each of the 68.
_NEAREST = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)


def find_landmarks(images: Tensor) -> list[Tensor | None]:
    """See `Detector`. On the CPU, an image at a time, so that no answer depends on the batch."""
    meshes = [face_mesh(np.ascontiguousarray(image)) for image in images.cpu().numpy()]
    return [
        None if mesh is None else torch.from_numpy(mesh.points_px[list(_NEAREST)]).float()
        for mesh in meshes
    ]
