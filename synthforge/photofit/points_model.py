"""A head reduced to the points that a detector finds: the same skinning, a few hundred points.

A point sits on a triangle whose corners are skinned by the joints: p = sum_j (R_j q_j + t_j s_j)
with q_j the corners at rest, weighted by barycentrics and by joint j, and s_j the sum of these
weights. q_j is linear in coefficients and pose correctives, so this is exact, and two matrix
products replace the mesh.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flame_pytorch import FLAME, lbs


class PointsModel:
    """Points on the triangles of a FLAME-shaped head, as `FLAME.forward` would pose them.

    faces: int64 [N], bary: [N, 3]. Computes in float64; differentiable.
    """

    def __init__(self, flame: FLAME, faces: Tensor, bary: Tensor) -> None:
        self.n_shape, self.n_expression = flame.n_shape, flame.n_expression
        self.parents = flame.parents
        self.joint_template = flame.joint_template.double()
        self.joint_dirs = flame.joint_dirs.double()
        corners = flame.faces[faces]
        # [N, 3, J]: what each corner and joint adds to a point.
        shares = bary.double()[..., None] * flame.weights.double()[corners]
        self._sums = shares.sum(1)
        self._points, self._joints = (self._sums > 0).nonzero().unbind(1)
        weights = shares[self._points, :, self._joints]
        ours = corners[self._points]

        def mixed(directions: Tensor) -> Tensor:
            return (weights[..., None, None] * directions.double()[ours]).sum(1)

        self._rest = mixed(flame.v_template[..., None])[..., 0]
        self._directions = torch.cat([mixed(flame.shapedirs), mixed(flame.posedirs)], -1)
        self._by_direction = self._directions.flatten(0, 1).T.contiguous()

    def __len__(self) -> int:
        return len(self._sums)

    def __call__(self, shape: Tensor, expression: Tensor, pose_rad: Tensor) -> Tensor:
        """[B, N, 3] metres, FLAME frame. shape [B, n_shape], expression [B, n_expression],
        pose_rad [B, 15]: axis-angles of global, neck, jaw, left eye, right eye."""
        coefficients = torch.cat([shape, expression], 1)
        R = lbs.rotation_matrix(pose_rad.unflatten(1, (5, 3)))
        correctives = (R[:, 1:] - torch.eye(3, dtype=R.dtype)).flatten(1)
        moved = torch.cat([coefficients, correctives], 1) @ self._by_direction
        rest = self._rest + moved.unflatten(1, (-1, 3))
        joints = self.joint_template + torch.einsum("jck,bk->bjc", self.joint_dirs, coefficients)
        R_joint, t_joint = lbs.pose_joints(R, joints, self.parents)
        sums = self._sums[self._points, self._joints]
        terms = lbs.apply(R_joint[:, self._joints], rest) + sums[:, None] * t_joint[:, self._joints]
        return terms.new_zeros(len(terms), len(self), 3).index_add(1, self._points, terms)

    def directions(self, pose_rad: Tensor) -> Tensor:
        """[B, N, 3, n_shape + n_expression]: how far each coefficient moves each point of heads in
        this pose. Points are linear in them."""
        batch, count = len(pose_rad), self.n_shape + self.n_expression
        R = lbs.rotation_matrix(pose_rad.unflatten(1, (5, 3)))
        joints = self.joint_dirs.movedim(-1, 0).repeat(batch, 1, 1)
        R_joint, t_joint = lbs.pose_joints(R.repeat_interleave(count, 0), joints, self.parents)
        t_joint = t_joint.unflatten(0, (batch, count))
        R_joint = R_joint.unflatten(0, (batch, count))[:, 0]
        moved = R.new_zeros(batch, len(self), 3, count)
        for joint in range(len(self.parents)):
            terms = self._joints == joint
            points, rest = self._points[terms], self._directions[terms, :, :count]
            turned = torch.einsum("bij,njc->bnic", R_joint[:, joint], rest)
            shift = t_joint[:, :, joint].transpose(1, 2)[:, None]
            moved[:, points] += turned + self._sums[points, joint][:, None, None] * shift
        return moved
