"""A slow twin of the rasterizer and of FLAME, in float64 numpy: rays against triangles."""

import math

import numpy as np
from scipy.spatial.transform import Rotation


def cast(directions, triangles):
    """Rays from the origin, [N, 3] with z = 1, against triangles [F, 3, 3] of the camera frame.

    Returns z-depth [N] (inf where nothing is hit), face ids [N] (-1) and barycentrics [N, 3] of
    the nearest hit (Moeller and Trumbore 1997).
    """
    a, ab, ac = triangles[:, 0], *np.moveaxis(triangles[:, 1:] - triangles[:, :1], 1, 0)
    depth, face, weights = [], [], []
    for ray in directions:
        p = np.cross(ray, ac)
        det = (ab * p).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            v = -(a * p).sum(-1) / det
            q = np.cross(-a, ab)
            w = (q @ ray) / det
            z = (ac * q).sum(-1) / det
            hit = (v > 0) & (w > 0) & (v + w < 1) & (z > 0)
        z = np.where(hit, z, np.inf)
        nearest = int(z.argmin())
        depth.append(z[nearest])
        face.append(nearest if hit[nearest] else -1)
        weights.append([1 - v[nearest] - w[nearest], v[nearest], w[nearest]])
    return np.array(depth), np.array(face), np.array(weights)


def flame(model, embedding, annotation, R_view_gen):
    """Vertices [V, 3] and landmarks [68, 3], metres, of one annotation (Li et al. 2017)."""
    rotations = np.split(
        np.concatenate(
            [
                annotation["flame_pose"][:3],
                annotation["flame_neck_pose"],
                annotation["flame_pose"][3:],
                annotation["flame_eye_pose"],
            ]
        ),
        5,
    )
    R = [Rotation.from_rotvec(rotation).as_matrix() for rotation in rotations]
    shaped = model.v_template + model.shapedirs[..., :100] @ annotation["flame_shape"]
    shaped = shaped + model.shapedirs[..., 300:350] @ annotation["flame_exp"]
    joints = model.J_regressor @ shaped
    posed = shaped + model.posedirs @ np.concatenate([(r - np.eye(3)).ravel() for r in R[1:]])
    world = []
    for joint, parent in enumerate(model.parents):
        local = np.eye(4)
        local[:3, :3] = R[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    vertices = sum(
        model.weights[:, j, None] * ((posed - joints[j]) @ world[j][:3, :3].T + world[j][:3, 3])
        for j in range(5)
    )
    seen = R_view_gen @ R[0] @ R[1]
    yaw = round(math.degrees(math.atan2(-seen[2, 0], math.hypot(seen[0, 0], seen[1, 0]))))
    yaw = max(-39, min(39, yaw))
    row = yaw if yaw >= 0 else 39 - yaw
    faces = np.concatenate([embedding.contour_faces[row], embedding.static_faces])
    bary = np.concatenate([embedding.contour_bary[row], embedding.static_bary])
    return vertices, (vertices[model.faces[faces]] * bary[..., None]).sum(1)
