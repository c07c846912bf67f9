"""The table of generators, and which one a run takes."""

from __future__ import annotations

from synthforge.config import PartsConfig
from synthforge.errors import ConfigError
from synthforge.generators.descriptor import Descriptor
from synthforge.generators.mannequin import MANNEQUIN
from synthforge.generators.next3d import NEXT3D

# In order of preference; the last needs no files.
GENERATORS: dict[str, Descriptor] = {generator.name: generator for generator in (NEXT3D, MANNEQUIN)}
# As --generator takes them.
CHOICES = ("auto", *GENERATORS)


def pick(parts: PartsConfig) -> Descriptor:
    """The generator that `parts` names; for "auto", the first whose files are there.

    Raises ConfigError for a name that is not known, and AssetError where only some of a
    generator's files are there.
    """
    if parts.generator == "auto":
        return next(known for known in GENERATORS.values() if known.is_there(parts.assets))
    if parts.generator not in GENERATORS:
        raise ConfigError(
            f"--generator {parts.generator!r} is not known; choose from {', '.join(CHOICES)}"
        )
    return GENERATORS[parts.generator]
