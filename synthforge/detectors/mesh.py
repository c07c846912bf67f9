"""The detector `mesh`: MediaPipe's face mesh, its 468 points mapped to the 68 of iBUG.

Its threshold, measured on default samples of the built-in head, mean distance in pixels at 512. Of
340 (seed 11) 244 are bare: 5.1 in the mean, none above 11. Of 74 with glasses or headwear none is
turned away at 13, of 7 with a mask 3 are, and of 15 with something before the face 4: what is
hidden the net guesses. On 1,244 samples of the head before, with a table fitted to that one,
another sample's labels pass in 0.1 %, labels 15 px beside in 0.2 %, 10 px beside in 81 %. In 99 of
100 images upside down it finds a face, with the scores of upright ones, and none is nearer than 20
to the upright labels: that is what the threshold is for. In noise it finds no face. With Next3D and
FLAME nobody has measured it.

On 43 photographs with manual points (dlib's examples) the inner 51 are 4.1 % of the outer-eye
distance off and all 68 are 5.3 % (dlib's own predictor: 4.0 and 4.2); how it picks among several
faces was chosen on them, which flatters it. The places of the 68 are the built-in head's, as the
alignment wants them. Manual points differ in the brows (5.0 % there, 3.0 % on the built-in head)
and the jaw (8.6 and 6.6).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synthforge.detectors.face_mesh import face_mesh
from synthforge.detectors.landmarks68 import landmarks_of

REJECT_PX = 13.0


def find_landmarks(images: Tensor) -> list[Tensor | None]:
    """See `Detector`. On the CPU, an image at a time, so that no answer depends on the batch."""
    meshes = [face_mesh(np.ascontiguousarray(image)) for image in images.cpu().numpy()]
    return [
        None if mesh is None else torch.from_numpy(landmarks_of(mesh.points_px)).float()
        for mesh in meshes
    ]
