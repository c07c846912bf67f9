"""The built-in default: a procedural head and its renderer. No weights, no download."""

from synthforge.mannequin.build import build_head
from synthforge.mannequin.generator import Mannequin

__all__ = ["Mannequin", "build_head"]
