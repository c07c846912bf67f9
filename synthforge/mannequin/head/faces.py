"""Faces that people make, as activations of ARKit's face actions.

After Ekman and Friesen's facial action coding system: which actions go together in a smile, in
anger, and so on. Amounts and shares were set so that mouths and lids of the drawn heads spread as
in 43 photographs of people, most of whom smile and whose lips are 0.14 of the distance of the outer
eye corners apart in the median; neutral and other faces keep a larger share than there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthforge.errors import ConfigError
from synthforge.mannequin.head.baked import ACTIONS

Array = NDArray[np.float64]

_OTHER = {"Left": "Right", "Right": "Left"}


@dataclass(frozen=True)
class Face:
    """share: of the faces drawn. intensity: the weakest and the strongest.

    actions: mean activation at intensity 1. A name without its side stands for both sides.
    """

    share: float
    actions: Mapping[str, float]
    intensity: tuple[float, float]


def _face(share: float, intensity: tuple[float, float] = (0.5, 1.1), **actions: float) -> Face:
    return Face(share, actions, intensity)


FACES = {
    "neutral": _face(0.19),
    # Smiles and laughs.
    "polite smile": _face(0.11, (0.4, 1.1),
        mouthSmile=0.65, cheekSquint=0.25, eyeSquint=0.12, mouthDimple=0.15,
    ),
    "smile": _face(0.32, (0.6, 1.1),
        mouthSmile=0.85, cheekSquint=0.4, eyeSquint=0.2, mouthUpperUp=1, mouthLowerDown=0.9,
        mouthStretch=0.2, mouthDimple=0.1, jawOpen=0.22,
    ),
    "laugh": _face(0.1, (0.6, 1.1),
        mouthSmile=0.95, cheekSquint=0.5, eyeSquint=0.3, mouthUpperUp=1, mouthLowerDown=0.7,
        jawOpen=0.45, noseSneer=0.15, mouthStretch=0.2, browInnerUp=0.1,
    ),
    # Talking: vowels and consonants.
    "ah": _face(0.03, jawOpen=0.4, mouthLowerDown=0.25, mouthUpperUp=0.1),
    "eh": _face(0.03, jawOpen=0.2, mouthLowerDown=0.3, mouthStretch=0.25),
    "ee": _face(0.02, jawOpen=0.1, mouthStretch=0.4, mouthLowerDown=0.4, mouthUpperUp=0.2),
    "oh": _face(0.02, jawOpen=0.3, mouthFunnel=0.55, mouthPucker=0.2),
    "oo": _face(0.015, jawOpen=0.1, mouthPucker=0.6, mouthFunnel=0.25),
    "m": _face(0.01, jawOpen=0.12, mouthClose=0.12, mouthPress=0.35, mouthRollLower=0.25),
    "f": _face(0.01, jawOpen=0.1, mouthRollLower=0.5, mouthUpperUp=0.2),
    # Emotions.
    "surprise": _face(0.025,
        browInnerUp=0.9, browOuterUp=0.8, eyeWide=0.5, jawOpen=0.45, mouthFunnel=0.15,
    ),
    "sadness": _face(0.02,
        browInnerUp=0.9, browDown=0.25, eyeSquint=0.25, mouthFrown=0.75, mouthShrugLower=0.45,
        mouthPress=0.15,
    ),
    "anger": _face(0.02,
        browDown=0.9, eyeSquint=0.45, eyeWide=0.2, noseSneer=0.35, mouthPress=0.5, mouthFrown=0.3,
        mouthRollLower=0.2, jawForward=0.1,
    ),
    "shout": _face(0.01,
        browDown=0.7, eyeSquint=0.4, noseSneer=0.6, mouthUpperUp=0.5, mouthLowerDown=0.6,
        mouthStretch=0.3, jawOpen=0.6,
    ),
    "disgust": _face(0.015,
        noseSneer=0.9, mouthUpperUp=0.5, browDown=0.5, eyeSquint=0.45, cheekSquint=0.4,
        mouthFrown=0.4, mouthShrugLower=0.3,
    ),
    "fear": _face(0.01,
        browInnerUp=0.8, browOuterUp=0.35, browDown=0.3, eyeWide=0.6, mouthStretch=0.6,
        mouthFrown=0.2, jawOpen=0.25,
    ),
    "frown": _face(0.015, browDown=0.7, eyeSquint=0.6, cheekSquint=0.3, mouthPress=0.25),
    "doubt": _face(0.01, browOuterUpLeft=0.9, browInnerUp=0.3, browDownRight=0.4, mouthLeft=0.25),
    "smirk": _face(0.01, mouthSmileLeft=0.35, mouthDimpleLeft=0.5, cheekSquintLeft=0.3),
    "kiss": _face(0.005, mouthPucker=0.85, mouthFunnel=0.1),
    "puffed cheeks": _face(0.005, cheekPuff=0.7, mouthPress=0.4, mouthPucker=0.2),
    "tongue out": _face(0.005, jawOpen=0.35, tongueOut=0.8, mouthLowerDown=0.2),
}  # fmt: skip
_SHARES = np.array([face.share for face in FACES.values()])
_CUMULATED = np.cumsum(_SHARES / _SHARES.sum())[:-1]

# What a face at rest shows of each, exponentially distributed: no two people hold theirs alike.
_REST = {
    "browInnerUp": 0.06, "browDown": 0.08, "browOuterUp": 0.04, "eyeSquint": 0.06, "eyeWide": 0.05,
    "cheekSquint": 0.04, "mouthPress": 0.06, "mouthFrown": 0.03, "mouthSmile": 0.08,
    "mouthStretch": 0.04, "mouthShrugLower": 0.03, "mouthDimple": 0.06, "mouthRollUpper": 0.04,
    "mouthRollLower": 0.02, "mouthPucker": 0.02, "noseSneer": 0.02, "jawForward": 0.03,
    "jawLeft": 0.01, "jawRight": 0.01, "mouthLeft": 0.01, "mouthRight": 0.01,
}  # fmt: skip
_MAX_REST = 0.35
# How lips part, exponentially distributed too, and in what share of the faces that do nothing else
# with them.
_PARTED = {"jawOpen": 0.13, "mouthLowerDown": 0.16, "mouthUpperUp": 0.1}
_PARTED_SHARE, _MAX_PARTED = 0.7, 2.0
_LIPS = frozenset({"jawOpen", "mouthPress", "mouthPucker", "mouthRollLower", "mouthShrugLower"})
# Log-normal spread of each action, and between the two sides of a face.
_ACTION_SD, _SIDE_SD = 0.25, 0.12
# Shares of faces with both eyes closed, one eye closed, and lids on their way.
_CLOSED, _WINK, _HALF = 0.04, 0.02, 0.02


def draw_face(rng: np.random.Generator) -> Array:
    """Activations of ACTIONS, float64 (52,), 0 to 1; 0 for eyeLook*, which gaze decides."""
    face = list(FACES.values())[int(np.searchsorted(_CUMULATED, rng.random(), side="right"))]
    actions = np.zeros(len(ACTIONS))
    strength = rng.uniform(*face.intensity)
    mirrored = rng.random() < 0.5
    for name, mean in face.actions.items():
        common = mean * strength * np.exp(_ACTION_SD * rng.standard_normal())
        for action in _sides(_other_side(name) if mirrored else name):
            actions[action] += common * np.exp(_SIDE_SD * rng.standard_normal())
    for name, mean in _REST.items():
        common = min(rng.exponential(mean), _MAX_REST)
        for action in _sides(name):
            actions[action] += common * np.exp(_SIDE_SD * rng.standard_normal())
    parted, width = rng.random() < _PARTED_SHARE, min(rng.exponential(), _MAX_PARTED)
    if parted and _LIPS.isdisjoint(face.actions):
        for name, mean in _PARTED.items():
            actions[_sides(name)] += mean * width
    _move_lids(rng, actions)
    return actions.clip(0, 1)


def listed_face(face: str | Mapping[str, float]) -> Array:
    """Activations of ACTIONS, float64 (52,), 0 to 1: one of FACES in full by its name, or actions
    by theirs. A name without its side stands for both sides.

    Raises ConfigError for a name that is not known.
    """
    if isinstance(face, str):
        if face not in FACES:
            raise ConfigError(f"no face is called {face!r}; choose from {', '.join(FACES)}")
        face = FACES[face].actions
    actions = np.zeros(len(ACTIONS))
    for name, activation in face.items():
        if name not in (*ACTIONS, *_names()):
            raise ConfigError(
                f"no face action is called {name!r}; choose from {', '.join(_names())}, with Left "
                "or Right for one side"
            )
        actions[_sides(name)] = activation
    return actions


def _move_lids(rng: np.random.Generator, actions: Array) -> None:
    """Blinks, winks and tired lids."""
    kind, side, depth = rng.random(), int(rng.random() < 0.5), rng.random()
    blink = _sides("eyeBlink")
    if kind < _CLOSED:
        actions[blink] = 0.9 + 0.1 * depth
        actions[_sides("eyeWide")] = 0
    elif kind < _CLOSED + _WINK:
        actions[blink[side]] = 0.95 + 0.05 * depth
        actions[blink[1 - side]] += 0.15 * depth
        actions[_sides("eyeWide")] = 0
        for name, more in (("cheekSquint", 0.5), ("mouthSmile", 0.25), ("eyeSquint", 0.2)):
            actions[_sides(name)[side]] += more * (0.5 + depth)
    elif kind < _CLOSED + _WINK + _HALF:
        actions[blink] += 0.15 + 0.4 * depth
    else:
        actions[blink] += 0.06 * depth
    # Both close the lids: together they would close them too far.
    actions[_sides("eyeSquint")] *= 1 - 0.8 * actions[blink].clip(0, 1)


@functools.cache
def _names() -> tuple[str, ...]:
    """ACTIONS, but a pair of sides under one name. jawLeft and jawRight are no pair."""
    pairs = [name.removesuffix("Left").removesuffix("Right") for name in ACTIONS]
    names = zip(ACTIONS, pairs, strict=True)
    return tuple(dict.fromkeys(name if pair in ("jaw", "mouth") else pair for name, pair in names))


@functools.cache
def _sides(name: str) -> list[int]:
    """Indices in ACTIONS of an action, or of both sides of one that is named without its side."""
    names = [name] if name in ACTIONS else [name + side for side in _OTHER]
    return [ACTIONS.index(each) for each in names]


def _other_side(name: str) -> str:
    return re.sub("Left|Right", lambda side: _OTHER[side[0]], name)
