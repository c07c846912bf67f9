"""What each vertex of the built-in head belongs to."""

from __future__ import annotations

from enum import IntEnum


class Part(IntEnum):
    """Stored per vertex as an integer. Left and right are the subject's."""

    SKIN = 0
    LIPS = 1
    LID_MARGIN = 2
    EAR = 3
    NOSTRIL = 4
    INNER_MOUTH = 5
    TEETH = 6
    GUMS = 7
    TONGUE = 8
    LEFT_EYEBALL = 9
    RIGHT_EYEBALL = 10
