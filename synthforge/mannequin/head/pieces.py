"""The separate surfaces that the built-in head is made of."""

from __future__ import annotations

from enum import IntEnum


class Piece(IntEnum):
    """Stored per vertex as an integer. Left and right are the subject's."""

    SKIN = 0
    UPPER_TEETH = 1
    LOWER_TEETH = 2
    TONGUE = 3
    LEFT_EYEBALL = 4
    RIGHT_EYEBALL = 5
    UPPER_GUMS = 6
    LOWER_GUMS = 7
