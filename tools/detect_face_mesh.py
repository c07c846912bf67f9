"""Where MediaPipe's face mesh puts its points: python tools/detect_face_mesh.py DATASET OUT.npz.

For tools/bake_points.py. Needs mediapipe 0.10.14 in an environment of its own; imports nothing of
SynthForge.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import mediapipe
import numpy as np
from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

# Of the mirrored images so many are enough.
_MIRRORED = 80


def main(dataset: Path, out: Path) -> None:
    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True,
        max_num_faces=1,
        refine_landmarks=False,
        min_detection_confidence=0.3,
    )
    found: dict[str, list] = {name: [] for name in ("index", "points")}
    mirrored: dict[str, list] = {name: [] for name in ("index", "points")}
    for path in sorted((dataset / "images").glob("*.png")):
        image = cv2.imread(str(path))[..., ::-1]
        height, width = image.shape[:2]
        for rows, turned in ((found, image), (mirrored, image[:, ::-1])):
            if rows is mirrored and len(rows["index"]) >= _MIRRORED:
                continue
            faces = mesh.process(np.ascontiguousarray(turned)).multi_face_landmarks
            if faces:
                points = [(p.x * width, p.y * height) for p in faces[0].landmark]
                if rows is mirrored:
                    points = [(width - x, y) for x, y in points]
                rows["index"].append(int(path.stem))
                rows["points"].append(points)
    np.savez_compressed(
        out,
        index=np.array(found["index"]),
        points=np.array(found["points"], np.float32),
        mirrored_index=np.array(mirrored["index"]),
        mirrored_points=np.array(mirrored["points"], np.float32),
        edges=np.array(sorted(FACEMESH_TESSELATION)),
    )
    print(f"{out}: {len(found['index'])} faces")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
