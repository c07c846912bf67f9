"""Expression components, and the correctives that go with joint rotations.

Figures in mm for a coefficient of 1, a strong but natural motion; -1 is its natural opposite.
Where people can move left and right apart, there is a component for both and a weaker one,
NAME_skew, that does more on the left and less on the right: faces are lopsided at times, seldom by
much. The jaw itself is a joint, not here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthforge.mannequin import lids, mouth
from synthforge.mannequin.assembly import Assembly
from synthforge.mannequin.displacement import Anchors, Push, evened, lip_share, one_sided, symmetric
from synthforge.mannequin.lids import LidMap
from synthforge.mannequin.parts import Part
from synthforge.mannequin.profiles import MM, Array, smoothstep
from synthforge.mannequin.skinning import JAW, LEFT_EYE, RIGHT_EYE


@dataclass(frozen=True)
class Motion:
    """One muscle group at work.

    pushes: the left half's, mirrored. sided: has a skew component besides.
    lip: +1 moves the upper lip only, -1 the lower only.
    upper_lid, lower_lid: motion of the lid margins, mm, from inner to outer canthus.
    """

    pushes: tuple[Push, ...] = ()
    sided: bool = False
    lip: int = 0
    upper_lid: tuple[float, ...] = (0.0, 0.0)
    lower_lid: tuple[float, ...] = (0.0, 0.0)


_MOTIONS = {
    "smile": Motion(
        (
            Push((25, -48, 45), (12, 11, 26), (4.0, 4.0, -2.4)),
            Push((36, -16, 42), (17, 15, 28), (0.6, 2.3, 1.9)),
            Push((10, -49, 55), (14, 10, 20), (1.0, -0.3, -0.7)),
            Push((31, 13, 36), (14, 5, 16), (0, 0.5, 0.4)),
        ),
        sided=True,
        lower_lid=(0, 0.5, 0.5, 0),
    ),
    "frown": Motion(
        (
            Push((24, -49, 45), (11, 10, 26), (0.5, -2.2, -0.4)),
            Push((16, -80, 46), (14, 10, 22), (0, 0.8, 0.6)),
        ),
        sided=True,
    ),
    "pucker": Motion(
        (
            Push((20, -48, 47), (13, 13, 24), (-3.6, 0, 1.2)),
            Push((0, -48, 56), (15, 13, 22), (0, 0, 2.6)),
        )
    ),
    "lip_roll": Motion(
        (
            Push((0, -42, 57), (20, 5, 14), (0, 0.7, 0.8)),
            Push((0, -55, 55), (20, 6, 14), (0, -0.8, 0.9)),
        )
    ),
    "upper_lip_raise": Motion((Push((8, -44, 55), (17, 12, 24), (0, 1.6, 0.4)),), True, lip=1),
    "lower_lip_drop": Motion((Push((8, -54, 54), (17, 12, 24), (0, -1.4, 0.3)),), True, lip=-1),
    "mouth_raise": Motion((Push((0, -50, 52), (28, 16, 34), (0, 1.8, 0)),)),
    "chin_raise": Motion((Push((0, -76, 49), (18, 12, 26), (0, 1.8, 0.8)),)),
    "cheek_puff": Motion((Push((42, -44, 30), (18, 20, 34), (2.6, 0, 2.0)),)),
    "nose_wrinkle": Motion(
        (
            Push((12, -14, 58), (10, 13, 22), (0.4, 1.4, 0)),
            Push((8, 25, 45), (10, 10, 20), (-0.3, -0.9, 0.5)),
        )
    ),
    "nostril_flare": Motion((Push((15, -20, 54), (7, 7, 14), (0.9, 0.2, 0)),)),
    "brow_inner": Motion((Push((14, 42, 45), (15, 14, 24), (0, 2.6, 0.2)),), sided=True),
    "brow_outer": Motion((Push((43, 42, 40), (16, 14, 24), (0, 2.6, 0)),), sided=True),
    "brow_knit": Motion((Push((14, 39, 46), (13, 11, 22), (-1.3, -1.6, 0.7)),)),
    "squint": Motion(
        (Push((33, 10, 37), (16, 6, 18), (0, 0.8, 0.4)),),
        sided=True,
        upper_lid=(0, -0.4, -0.4, 0),
        lower_lid=(0, 0.9, 0.9, 0),
    ),
    "lid": Motion(sided=True, upper_lid=(0, -1.2, -1.3, -1.0, 0), lower_lid=(0, 0.1, 0.1, 0)),
}
# Not symmetric: both halves are pushed the same way.
_MOUTH_LEFT = (
    Push((0, -50, 52), (30, 18, 40), (3.0, 0, -0.2)),
    Push((0, -80, 46), (30, 18, 40), (0.8, 0, 0)),
)
# Blinks go from 0 to 1 and have no opposite: they come after FLAME's usual 50 expressions, of which
# samples are drawn on both sides of 0.
BLINK_LEFT, BLINK_RIGHT = 50, 51
_SKEW = 0.35
# Share of the margin's motion within the globe's turn that the lids make with it.
_LID_FOLLOWS_GAZE = 0.55


def _names() -> tuple[str, ...]:
    names: list[str] = []
    for name, motion in _MOTIONS.items():
        names += [name, f"{name}_skew"] if motion.sided else [name]
    return (*names, "mouth_left")


NAMES = _names()


def components(assembly: Assembly, where: Anchors, lid_map: LidMap) -> Array:
    """(V, 3, 52) metres for a coefficient of 1: NAMES, then nothing, then the two blinks."""
    left = _left_share(assembly)[:, None]
    upper = _upper_lip_share(assembly)[:, None]
    found: list[Array] = []
    for motion in _MOTIONS.values():
        total = symmetric(where, motion.pushes)
        if motion.lip:
            total = total * (upper if motion.lip > 0 else 1 - upper)
        total = _keep_teeth(assembly, total)
        if any(motion.upper_lid) or any(motion.lower_lid):
            total = total + lids.slide(lid_map, motion.upper_lid, motion.lower_lid)
        total = evened(assembly, total)
        found.append(total)
        if motion.sided:
            found.append(_SKEW * (total * left - total * left[assembly.mirror]))
    found.append(_keep_teeth(assembly, one_sided(where, _MOUTH_LEFT)))
    result = np.zeros((*assembly.vertices.shape, BLINK_RIGHT + 1))
    result[..., : len(NAMES)] = np.stack(found, -1)
    blink = evened(assembly, lids.close(lid_map))
    result[..., BLINK_LEFT] = blink * left
    result[..., BLINK_RIGHT] = blink * left[assembly.mirror]
    return result


def _left_share(assembly: Assembly) -> Array:
    """(V,) 1 on the left, 0 on the right; with its mirror image it sums to 1 exactly."""
    share = smoothstep(-7 * MM, 7 * MM, assembly.vertices[:, 0])
    return np.where(assembly.vertices[:, 0] > 0, share, 1 - share[assembly.mirror])


def _upper_lip_share(assembly: Assembly) -> Array:
    """(V,) 1 on the upper lip and above, 0 below, half at the corners."""
    x, y = np.abs(assembly.vertices[:, 0]), assembly.vertices[:, 1]
    contact = mouth.contact_height(x)
    share = smoothstep(-5 * MM, 5 * MM, y - contact)
    lips = np.isin(assembly.parts, (Part.LIPS, Part.INNER_MOUTH))
    from_corner = smoothstep(0, 9 * MM, mouth.HALF_WIDTH - x)
    return np.where(lips, 0.5 + 0.5 * assembly.jaw * from_corner, share)


def _keep_teeth(assembly: Assembly, total: Array) -> Array:
    """Lips move, teeth and tongue do not; the cavity follows the lips at its mouth only."""
    inside = (Part.INNER_MOUTH, Part.TEETH, Part.GUMS, Part.TONGUE)
    follows = np.where(np.isin(assembly.parts, inside), lip_share(assembly), 1.0)
    return total * follows[:, None]


def correctives(assembly: Assembly, where: Anchors, lid_map: LidMap) -> Array:
    """(V, 3, 36): what to add per entry of the flattened R - I of joints 1-4.

    Opening the jaw draws the corners of the mouth and the cheeks inwards; turning the eyes up or
    down takes the upper lid along.
    """
    posedirs = np.zeros((*assembly.vertices.shape, 36))
    open_jaw = symmetric(
        where,
        (
            Push((25, -49, 44), (11, 12, 26), (-5.0, 0, 1.5)),
            Push((46, -38, 24), (18, 24, 36), (-5.5, 0, -2.0)),
            Push((0, -104, 16), (30, 14, 30), (0, 3.0, -2.0)),
        ),
    )
    _per_sine(posedirs, JAW, evened(assembly, _keep_teeth(assembly, open_jaw)))
    look_down = lids.slide(lid_map, (-3.5, -9.5, -9.5, -3.5), (-1.0, -3.5, -3.5, -1.0))
    look_down = evened(assembly, look_down * _LID_FOLLOWS_GAZE)
    left = assembly.vertices[:, :1] > 0
    _per_sine(posedirs, LEFT_EYE, look_down * left)
    _per_sine(posedirs, RIGHT_EYE, look_down * left[assembly.mirror])
    return posedirs


def _per_sine(posedirs: Array, joint: int, displacement: Array) -> None:
    """Add `displacement` per sine of a rotation of `joint` about x."""
    entry = 9 * (joint - 1)
    # R[1, 2] = -sin, R[2, 1] = sin: half each, so that both count alike.
    posedirs[:, :, entry + 5] -= 0.5 * displacement
    posedirs[:, :, entry + 7] += 0.5 * displacement
