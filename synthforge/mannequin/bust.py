"""Shoulders and clothes below the built head: drawn, never labelled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.person import Person
from synthforge.mannequin.template import Template

_COLUMNS = 72
# Profile of the trunk below the neck's lower end, metres: drop, half width, front, back.
_PROFILE = (
    (-0.030, 0.000, 0.000, 0.000),
    (-0.012, 0.004, 0.003, 0.004),
    (0.004, 0.016, 0.008, 0.012),
    (0.018, 0.042, 0.014, 0.022),
    (0.030, 0.080, 0.022, 0.030),
    (0.044, 0.116, 0.034, 0.038),
    (0.070, 0.138, 0.050, 0.046),
    (0.130, 0.152, 0.064, 0.054),
    (0.260, 0.158, 0.070, 0.060),
)
_ROWS = 26
_CLOTH_GAP = 0.004


@dataclass(frozen=True)
class Bust:
    """vertices: float32 [N, 3], metres, frame of the neutral head. faces: int64 [F, 3].

    cloth: bool [F], clothes; the others are skin. open: float32 [N], how freely light arrives.
    """

    vertices: Tensor
    faces: Tensor
    cloth: Tensor
    open: Tensor


def bust_of(person: Person, template: Template) -> Bust:
    """The trunk and what the person wears on it."""
    like = template.vertices.new_tensor
    low = template.vertices[:, 1].amin()
    ring = template.vertices[template.vertices[:, 1] < low + 0.012]
    middle = torch.stack([like(0.0), low, (ring[:, 2].amax() + ring[:, 2].amin()) / 2])
    half_width, half_depth = ring[:, 0].amax(), (ring[:, 2].amax() - ring[:, 2].amin()) / 2
    broad = 1.0 + 0.10 * person.masculinity
    profile = like(_PROFILE)

    def surface(start: Tensor, gap: float) -> Tensor:
        """[R, C, 3]: rows from `start` [C] (place along the profile) to its end."""
        angle = torch.linspace(0, 2 * math.pi, _COLUMNS + 1, device=low.device)[:-1]
        s = torch.linspace(0, 1, _ROWS, device=low.device)[:, None] ** 1.3
        place = (start + (len(profile) - 1.001 - start) * s).clamp(min=0)
        knot = place.long().clamp(max=len(profile) - 2)
        t = (place - knot)[..., None]
        drop, wide, front, back = (profile[knot] * (1 - t) + profile[knot + 1] * t).unbind(-1)
        sine, cosine = torch.sin(angle), torch.cos(angle)
        width = 0.97 * half_width + wide * broad + gap
        depth = 0.97 * half_depth + torch.where(cosine > 0, front, back) + gap
        # Shoulders slope down to the sides and a little forward.
        y = (
            -drop
            - 0.030 * sine.abs() ** 3 * (wide / 0.15)
            - 0.016 * cosine.clamp(min=0) * (drop > 0)
        )
        z = depth * torch.sign(cosine) * cosine.abs() ** 0.9
        return torch.stack([width * sine, y + 0 * sine, z], -1) + middle

    skin = surface(torch.zeros(_COLUMNS, device=low.device), 0.0)
    angle = torch.linspace(0, 2 * math.pi, _COLUMNS + 1, device=low.device)[:-1]
    frontal = torch.cos(angle).clamp(min=0)
    start = {
        0: 2.1 + 0.5 * person.neckline + 0.5 * frontal,  # round neck
        1: 1.9 + (2.5 + 1.8 * person.neckline) * frontal**2.5,  # V-neck
        2: 0.9 + 0.5 * person.neckline + 0 * frontal,  # high collar
        3: 2.6 + 2.0 * person.neckline + 1.2 * frontal,  # wide neck
    }[person.collar]
    shell = surface(start, _CLOTH_GAP)
    # The hem turns inwards, so that the cloth has a thickness.
    hem = shell[:1] * 0.985 + middle * 0.015 - like((0.0, 0.002, 0.0))
    shell = torch.cat([hem, shell])
    skin_faces = _grid_faces(len(skin), low.device)
    shell_faces = _grid_faces(len(shell), low.device) + skin.shape[0] * _COLUMNS
    vertices = torch.cat([skin.reshape(-1, 3), shell.reshape(-1, 3)])
    below = (low + 0.03 - vertices[:, 1]) / 0.12
    sideways = (vertices[:, 0].abs() - half_width) / 0.10
    return Bust(
        vertices=vertices,
        faces=torch.cat([skin_faces, shell_faces]),
        cloth=torch.cat(
            [
                torch.zeros(len(skin_faces), dtype=torch.bool, device=low.device),
                torch.ones(len(shell_faces), dtype=torch.bool, device=low.device),
            ]
        ),
        open=(0.35 + 0.5 * below + 0.4 * sideways).clamp(0.3, 1.0),
    )


def _grid_faces(rows: int, device: torch.device) -> Tensor:
    """Triangles of a tube of `rows` by _COLUMNS vertices, facing outwards."""
    row = torch.arange(rows - 1, device=device)[:, None] * _COLUMNS
    column = torch.arange(_COLUMNS, device=device)
    right = (column + 1) % _COLUMNS
    a, b = row + column, row + right
    c, d = a + _COLUMNS, b + _COLUMNS
    return torch.stack([torch.stack([a, c, d], -1), torch.stack([a, d, b], -1)]).view(-1, 3)
