"""What the person wears: painted on the shoulders."""

from __future__ import annotations

from torch import Tensor

from synthforge.mannequin.person import Person
from synthforge.mannequin.render.fields import bell, smoothstep

# The pit of the neck, the depth of its sides, how far a round neckline rises from one to the other,
# and where the shoulders begin, metres.
_PIT_Y_M, _PIT_Z_M, _SIDES_Z_M = -0.178, -0.030, -0.100
_RISE_M = 0.050
_SHOULDER_X_M = 0.075


def neck_y(x: Tensor, z: Tensor) -> Tensor:
    """y where neck and trunk meet at x and z, all [N], on the neutral head."""
    border = _PIT_Y_M + _RISE_M * smoothstep(_PIT_Z_M, _SIDES_Z_M, z)
    return border + 0.6 * (x.abs() - _SHOULDER_X_M).clamp(min=0)


def neckline_height(person: Person, places: Tensor) -> Tensor:
    """Metres above the border of the clothes, [N]; negative where cloth covers the skin.

    places: [3, N], on the neutral head.
    """
    x, y, z = places
    border = neck_y(x, z)
    wide = person.neckline
    match person.collar:
        case "round":
            border = border + 0.004 - 0.016 * wide
        case "v":
            front = smoothstep(-0.09, -0.04, z)
            border = border - (0.030 + 0.050 * wide) * bell(x, 0.030) * front
        case "high":
            border = border + 0.030 + 0.030 * wide
        case "shirt":
            front = smoothstep(-0.09, -0.04, z)
            border = border + 0.012 - (0.030 + 0.035 * wide) * bell(x, 0.018) * front
        case "hood":
            border = border + 0.010 - 0.010 * wide
        case _:
            border = border - 0.014 - 0.016 * wide
    return y - border
