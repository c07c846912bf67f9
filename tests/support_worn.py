"""Posed heads of the built-in generator, and what is built to fit them."""

import functools
from dataclasses import dataclass, replace

import torch
from scipy.spatial import cKDTree
from support_mannequin import built_head

from synthforge.frames import place_in_generator
from synthforge.mannequin.draws import Draws
from synthforge.mannequin.hair.scalp import head_in_own_frame
from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.people import PERSON_LATENTS, draw_people
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render.body import clothed
from synthforge.mannequin.render.lighting import fit_rotation
from synthforge.mannequin.render.template import template
from synthforge.mannequin.wear.fit import fit_of
from synthforge.mannequin.wear.outfit import LOOK
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING, WEAR

BARE = replace(MANNEQUIN_SAMPLING, **dict.fromkeys(WEAR, 0.0))


@dataclass(frozen=True)
class Posed:
    """One head: its latent, its person, the head in its own frame, landmarks there, and the fit."""

    z: torch.Tensor
    person: object
    own: object
    marks: torch.Tensor
    fit: object

    def look(self, name):
        return Draws(self.z[LOOK[name]])

    def depth(self, points):
        """Metres by which points [N, 3] lie inside the skin: negative outside."""
        outer = torch.nonzero((template().piece == Piece.SKIN) & ~template().in_mouth).squeeze(1)
        skin, normals = self.own.vertices[outer], self.own.normals[outer]
        _, nearest = cKDTree(skin.numpy()).query(points.numpy())
        return ((skin[nearest] - points) * normals[nearest]).sum(1)


@functools.cache
def posed_heads(count, seed=21):
    """Heads of all ages with faces that people make."""
    head = template()
    ids = [SampleId(seed, i) for i in range(count)]
    people = draw_people(ids, BARE)
    mesh = built_head().mesh(people, people.camera)
    heads = []
    for i in range(count):
        vertices, landmarks = (
            place_in_generator(points[i]).float() for points in (mesh.vertices, mesh.landmarks)
        )
        person = person_from(people.z[i, :PERSON_LATENTS])
        rotation = fit_rotation(head.vertices[head.skull], vertices[head.skull])
        normals = clothed(head, person, vertices, landmarks).normals
        own = head_in_own_frame(vertices, normals, rotation)
        marks = own.frame.to_local(landmarks)
        heads.append(Posed(people.z[i], person, own, marks, fit_of(head, own, marks)))
    return heads


def is_closed(shape):
    """Every edge of a face is another's, the other way; and it is not inside out."""
    _, place = torch.unique(shape.vertices.mul(1e6).round(), dim=0, return_inverse=True)
    a, b, c = place[shape.faces].unbind(1)
    edges = torch.cat([torch.stack(pair, 1) for pair in ((a, b), (b, c), (c, a))])
    edges = edges[edges[:, 0] != edges[:, 1]]
    key, back = edges[:, 0] * (1 << 20) + edges[:, 1], edges[:, 1] * (1 << 20) + edges[:, 0]
    p, q, r = shape.vertices.double()[shape.faces].unbind(1)
    volume = ((p - p[0]) * torch.linalg.cross(q - p[0], r - p[0])).sum()
    return torch.equal(key.sort().values, back.sort().values) and bool(volume > 0)
