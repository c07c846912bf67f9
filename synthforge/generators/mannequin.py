"""The built-in head and its renderer. They need no files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthforge.alignment_config import MANNEQUIN_ALIGNMENT_SAMPLING
from synthforge.assets.locate import MODEL, PRETRAINED, default_folder
from synthforge.config import PartsConfig
from synthforge.generators.descriptor import Descriptor, Tell
from synthforge.grid import Face
from synthforge.sampling_config import ANCESTRIES, HAIR, MANNEQUIN_SAMPLING

if TYPE_CHECKING:
    import torch

    from synthforge.alignment import AlignmentMLP
    from synthforge.head import Head
    from synthforge.mannequin import Mannequin


def mannequin_parts(device: torch.device) -> tuple[Head, Mannequin, AlignmentMLP]:
    """The built-in head and renderer. It draws the head where it is placed: no alignment."""
    import torch

    from synthforge.alignment import AlignmentMLP
    from synthforge.head import Head
    from synthforge.mannequin import Mannequin, baked_head
    from synthforge.mannequin.head.built_in_flame import built_in_flame
    from synthforge.mannequin.head.points import built_in_schemes
    from synthforge.mesh import Topology

    built = baked_head()
    head = Head(
        built_in_flame(),
        Topology(*map(torch.from_numpy, (built.model.faces, built.uvs, built.uv_faces))),
        torch.from_numpy(built.face_region),
        schemes=built_in_schemes(built),
    )
    return head.to(device), Mannequin(device), AlignmentMLP().to(device)


def _build(
    parts: PartsConfig, device: torch.device, tell: Tell
) -> tuple[Head, Mannequin, AlignmentMLP]:
    wanting = ""
    if parts.generator == "auto":
        folders = (parts.assets.pretrained_dir, PRETRAINED), (parts.assets.model_dir, MODEL)
        places = " and ".join(
            str((named or default_folder(name)).absolute()) for named, name in folders
        )
        wanting = f"; for Next3D, put its files into {places}"
    tell(f"Generator: the built-in head{wanting}")
    tell("Building the head ...")
    return mannequin_parts(device)


def _expression() -> dict[str, Any]:
    from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS

    return {
        "flame_exp": "entry k is the activation, 0 to 1, of the face action expression_actions[k]; "
        "the rest is 0. The eyes' joints do eyeLook*, and the jaw's joint does jawOpen",
        "expression_actions": EXPRESSION_ACTIONS,
        "face_actions": ACTIONS,
        "ancestry": ANCESTRIES,
        **HAIR,
    }


def _check_face(face: Face) -> None:
    from synthforge.mannequin.head.faces import listed_face

    listed_face(face)


MANNEQUIN = Descriptor(
    name="mannequin",
    title="the built-in head",
    is_there=lambda _: True,
    build=_build,
    sampling=MANNEQUIN_SAMPLING,
    sampling_source="people in photographs",
    alignment_sampling=MANNEQUIN_ALIGNMENT_SAMPLING,
    has_attributes=True,
    check_face=_check_face,
    has_lights=True,
    has_framing=True,
    expression=_expression,
    licence_spdx="MIT",
    licence="Images and labels of the built-in head: free to use (MIT, as the code).",
    one_thread=True,
)
