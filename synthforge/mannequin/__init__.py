"""The built-in default: a parametric head and a renderer. No files or weights needed."""

from synthforge.mannequin.generator import Mannequin
from synthforge.mannequin.head.baked import baked_head

__all__ = ["Mannequin", "baked_head"]
